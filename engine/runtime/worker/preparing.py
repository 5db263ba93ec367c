"""Requests whose prompts are being put together: words at once, pictures when their turn comes, both beside the loop.

To look at a picture takes seconds, and what comes of it megabytes. So pictures have threads of their own, which hold up
no words, and are looked at in the order of classes, only a few requests ahead of the slots: those who wait in a long
queue wait with their files as they came, and who is refused or cancelled is not looked at at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from engine.runtime.wire import Submit
from engine.runtime.worker.active import Active
from engine.runtime.worker.pictures import has_pictures
from engine.runtime.worker.scheduler import RANK
from engine.types import Class, GenerationRequest

LOOKERS = 2
"""Threads for requests with pictures: while one has a picture encoded, which takes all cores, another decodes files."""


class Preparing:
    """`prepare` puts the prompt of a request together and says so itself; `threads` do it for words.

    With no threads it is for others to do. All but `begin` and `run` is for the runner's thread.
    """

    def __init__(self, prepare: Callable[[Submit], None], threads: int, slots: int) -> None:
        self._prepare, self._slots = prepare, slots
        self._words = ThreadPoolExecutor(threads, thread_name_prefix="intake") if threads else None
        self._pictures = ThreadPoolExecutor(LOOKERS, thread_name_prefix="pictures") if threads else None
        self._works: dict[int, Submit] = {}
        """Those that were accepted and are not ready."""
        self._queue: dict[int, Submit] = {}
        """Those of them with pictures that nobody looks at yet."""
        self._looking: dict[int, Submit] = {}
        """Those that a thread looks at, wanted or not any more."""

    def __bool__(self) -> bool:
        return bool(self._works)

    # --- from any thread

    def __contains__(self, key: int) -> bool:
        """Whether a request was accepted, is not ready, and is still wanted."""
        return key in self._works

    def begin(self, work: Submit) -> None:
        """A request has come. One of words need not wait until the loop has time to accept it."""
        if self._words is not None and not sees(work.request):
            self._words.submit(self._prepare, work)

    def run(self, call: Callable[[], None], *, pictures: bool) -> None:
        """Have `call` done by a thread that deals with pictures, or words."""
        pool = self._pictures if pictures else self._words
        if pool is None:
            call()
        else:
            pool.submit(call)

    # --- for the runner's thread

    def count(self, priority: Class) -> int:
        """How many of this class are being put together."""
        return sum(each.request.priority == priority for each in self._works.values())

    def accept(self, work: Submit) -> None:
        """A request that began, and was not refused."""
        self._works[work.key] = work
        if self._pictures is not None and sees(work.request):
            self._queue[work.key] = work

    def drop(self, key: int) -> Submit | None:
        """The request of this key, which nobody wants any more; None if it is not among these."""
        self._queue.pop(key, None)
        return self._works.pop(key, None)

    def ready(self, key: int) -> bool:
        """Its prompt is put together, or could not be; whether it is still wanted."""
        self._looking.pop(key, None)
        return self._works.pop(key, None) is not None

    def look(self, others: Iterable[Active]) -> None:
        """Let threads that are free look at the pictures of those whose turn comes next; `others` are ready."""
        if not self._queue or self._pictures is None:
            return
        ahead = [each.work.request for each in others if each.waits and each.prepared.spans]
        ahead += [each.request for each in self._looking.values()]
        while len(self._looking) < LOOKERS:
            classes = Counter(each.priority for each in ahead)
            clients = Counter(each.client for each in ahead)
            works = [each for each in self._queue.values() if classes[each.request.priority] <= self._slots]
            if not works:
                return
            work = min(works, key=lambda each: _turn(each.request, clients))
            del self._queue[work.key]
            self._looking[work.key] = work
            ahead.append(work.request)
            self._pictures.submit(self._prepare, work)

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way: it uses what is about to be freed."""
        for pool in (self._words, self._pictures):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)


def _turn(request: GenerationRequest, clients: Mapping[str, int]) -> tuple[int, int]:
    """Who is looked at first: by class, then whose client has fewest ahead."""
    return RANK[request.priority], clients[request.client]


def sees(request: GenerationRequest) -> bool:
    """Whether a request has pictures."""
    return bool(request.images) or has_pictures(request.messages or ())

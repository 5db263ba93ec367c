"""The prefix cache of one model: what was computed is kept on shelves and on disk, and found again by later prompts.

The tree of `prefix` says who holds what; here the backend is told to move it. Sources of a prefix are shelves, slots
whose sequences still run, and files. All of it is used from the runner's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct

from engine.errors import HearthError, InsufficientMemory
from engine.runtime.backends.base import StepBackend
from engine.runtime.worker.kvstore import Entry, KvStore, Opened
from engine.runtime.worker.prefix import PrefixTree, Tokens, common, whole_pictures
from engine.types import CacheMiss

WORTH_KEEPING = 16
"""Tokens from which on a finished sequence gets a shelf."""
WORTH_SAVING = 256
"""Tokens from which on a sequence is written to disk."""
WORTH_READING = 64
"""Tokens by which a file must be ahead of what is in memory."""
WORTH_WAITING = 32
"""Tokens by which waiting for a prompt that is being computed must be ahead of what is there already."""
RESEMBLES = 8
"""Tokens from which on two prompts count as beginnings of one another: nearly all begin with the same marks."""

_NOWHERE = -1
"""The file of a shelf that cannot be saved."""


class Root(Struct, frozen=True):
    """What a state was computed under: it is good for nothing else. `caller` keeps one caller's from another's."""

    adapters: str = ""
    caller: str = ""

    @property
    def text(self) -> str:
        return f"{self.adapters}\n{self.caller}"


class Marks(Struct, frozen=True, kw_only=True):
    """Tells what a prompt was made of from what others were; empty where that is not known."""

    tools: str = ""
    """The tools that it offers."""
    opening: str = ""
    """Its messages up to the first of the user's."""


class Live(Struct, frozen=True):
    """A sequence in a slot: `computed` of its tokens can be shared now, of its first `prompt` ones all will be soon.

    `comes_first`: it is served before the one that looks, which may therefore wait for it.
    """

    slot: int
    root: Root
    tokens: Tokens
    computed: int
    prompt: int
    comes_first: bool = True


class Found(Struct, frozen=True):
    """The best source of a prompt's beginning: `count` tokens of `holder` (a slot or shelf; None: nowhere).

    `wait`: more than that will be there soon, so the prompt had better wait a little.
    """

    count: int = 0
    holder: int | None = None
    wait: bool = False


class PrefixCache:
    """See the module. `store` None: nothing outlives the worker. `enabled` False: nothing is kept at all."""

    def __init__(self, backend: StepBackend, store: KvStore | None, *, enabled: bool = True) -> None:
        self._backend, self._store = backend, store
        self._enabled = enabled and backend.shelves > 0
        first = backend.facts.capabilities.max_slots
        self._free = list(range(first, first + backend.shelves))[::-1] if self._enabled else []
        self._tree = PrefixTree()
        self._cold = PrefixTree()
        self._files: dict[int, int] = {}
        """By shelf: the file that holds the same."""
        self._replaced: dict[int, list[int]] = {}
        """By shelf: files that are needed no longer once it is on disk itself."""
        self._marks: dict[int, Marks] = {}
        """By shelf: what tools its request offered, where that is known."""
        self._prompts: dict[int, int] = {}
        """By shelf: how many of its tokens were the prompt of the request that left it."""
        self._asked: set[int] = set()
        """Files that were asked for and need not be again."""
        self._coming: set[int] = set()
        """Those of them that are still being read."""
        self._changed = time.monotonic()
        self._kept = self._opened = False

    @property
    def cells(self) -> int:
        """KV cells that only shelves hold, at most: what live sequences share counts here too."""
        return self._tree.cells

    # --- looking for a prefix

    def find(self, root: Root, tokens: Tokens, live: Iterable[Live], *, shelves: bool = True) -> Found:
        """The best source for all but the last of `tokens`, whose logits have to be computed.

        Without `shelves` only the sequences in `live` are looked at.
        """
        wanted = tokens[:-1]
        hit = self._tree.match(root, wanted) if shelves else None
        best = Found(hit.count, hit.holder) if hit is not None else Found()
        soon = best.count
        for each in live:
            if each.root != root:
                continue
            same = common(each.tokens, wanted)
            if self._backend.cuttable(each.slot):
                if min(same, each.computed) > best.count:
                    best = Found(min(same, each.computed), each.slot)
                if each.comes_first:
                    soon = max(soon, min(same, each.prompt))
            elif same == each.prompt - 1 == len(wanted) and each.comes_first and each.computed < same:
                # Its checkpoint will be there when its prompt is computed.
                soon = max(soon, same)
        best = Found(whole_pictures(wanted, best.count), best.holder)
        soon = whole_pictures(wanted, soon)
        if soon - best.count >= WORTH_WAITING or (shelves and self._wait_for_file(root, wanted, best.count)):
            return Found(best.count, best.holder, wait=True)
        return best

    def _wait_for_file(self, root: Root, wanted: Tokens, count: int) -> bool:
        """Whether a file has more, and is being read; the first time it is asked for."""
        if self._store is None:
            return False
        if not self._opened and len(wanted) - count >= WORTH_SAVING:
            # What files there are is not known yet, a moment after the start.
            return True
        hit = self._cold.match(root.text, wanted)
        if hit is None or hit.count - count < WORTH_READING:
            return False
        if hit.holder not in self._asked:
            self._asked.add(hit.holder)
            self._coming.add(hit.holder)
            self._store.read(hit.holder)
        return hit.holder in self._coming

    def miss(
        self, root: Root, tokens: Tokens, count: int, marks: Marks, *, off: bool = False
    ) -> CacheMiss | None:
        """Why `count` tokens of a prompt came from the cache and not more; None if there is no more to it.

        `off`: the request did not want it.
        """
        wanted = tokens[:-1]
        if off or not self._enabled:
            return CacheMiss(cause="off", token=count)
        if count >= len(wanted):
            return None
        known = self._tree.known(root, wanted)
        other = self._tree.elsewhere(root, wanted)
        if other is not None and other[1] > known + RESEMBLES:
            assert isinstance(other[0], Root)
            same_caller = other[0].caller == root.caller
            return CacheMiss(cause="adapter" if same_caller else "caller", token=count)
        if known > count + RESEMBLES:
            return CacheMiss(cause="state", token=count)
        if not self._kept:
            return CacheMiss(cause="model")
        if known < RESEMBLES:
            # Templates offer tools before all else, so that nothing of the same conversation is known by its tokens.
            return CacheMiss(cause="tools" if self._retooled(marks) else "new", token=count)
        if self._tree.ends_with(root, wanted[:known]):
            return None
        hit = self._tree.match(root, wanted, touch=False)
        theirs = self._marks.get(hit.holder) if hit is not None else None
        same = theirs is None or theirs.tools == marks.tools
        return CacheMiss(cause="text" if same else "tools", token=count)

    def _retooled(self, marks: Marks) -> bool:
        """Whether a conversation that begins with the same words is kept, with other tools."""
        return bool(marks.opening) and any(
            theirs.opening == marks.opening and theirs.tools != marks.tools for theirs in self._marks.values()
        )

    # --- keeping

    def keep(self, slot: int, root: Root, tokens: Tokens, *, prompt: int, marks: Marks) -> None:
        """Keep the state of `slot`, which has computed exactly `tokens`, on a shelf; the slot may go on.

        The first `prompt` of them were read, the others are an answer; `marks` tell what the prompt came from.
        """
        if not self._enabled or len(tokens) < WORTH_KEEPING:
            return
        known = self._tree.match(root, tokens)
        if known is not None and known.count == len(tokens):
            # Nobody has to make way for what is there already.
            return
        shelf = self._shelf()
        if shelf is None:
            return
        exact = not self._backend.cuttable(slot)
        added = self._tree.add(root, tokens, shelf, exact=exact)
        self._kept = True
        start = 0
        try:
            if added.shared is not None and not exact and self._backend.cuttable(added.shared.holder):
                # Cells of the tokens that were known already: the slot's own, if it has any, fall free with it.
                start = added.shared.count
                self._backend.share(added.shared.holder, shelf, 0, start)
            if start < len(tokens):
                self._backend.share(slot, shelf, start, len(tokens))
        except InsufficientMemory:
            self._tree.remove(shelf)
            for lost in (shelf, *added.freed):
                self._release(lost)
            # For the next.
            self.give_room(len(tokens))
            return
        self._marks[shelf], self._prompts[shelf] = marks, prompt
        self._changed = time.monotonic()
        for freed in added.freed:
            replaced = self._replaced.pop(freed, [])
            if self._files.get(freed, _NOWHERE) != _NOWHERE:
                replaced.append(self._files.pop(freed))
            self._replaced.setdefault(shelf, []).extend(replaced)
            self._release(freed)

    def _shelf(self) -> int | None:
        """An empty shelf, the one used longest ago if need be."""
        if not self._free and self._tree.holders:
            oldest = self._tree.holders[0]
            self._tree.remove(oldest)
            self._release(oldest)
        return self._free.pop() if self._free else None

    def _release(self, shelf: int) -> None:
        self._backend.cut(shelf, 0)
        self._lose(shelf)

    def _lose(self, shelf: int) -> None:
        """The state on `shelf` is gone."""
        self._marks.pop(shelf, None)
        self._prompts.pop(shelf, None)
        self._replaced.pop(shelf, None)
        self._asked.discard(self._files.pop(shelf, _NOWHERE))
        self._free.append(shelf)

    def give_room(self, cells: int) -> bool:
        """Free about `cells` KV cells; False if there is nothing left to give."""
        if not self._tree.holders:
            return False
        for cut in self._tree.evict(cells):
            if cut.count:
                self._backend.cut(cut.holder, cut.count)
                self._asked.discard(self._files.pop(cut.holder, _NOWHERE))
            else:
                self._release(cut.holder)
        return True

    def forget(self) -> None:
        """The backend has lost everything that was on its shelves."""
        for shelf in self._tree.clear():
            self._lose(shelf)

    # --- disk

    def news(self) -> None:
        """Take what the store found and read."""
        for each in self._store.news() if self._store is not None else ():
            if isinstance(each, Opened):
                self._opened = True
            elif isinstance(each, Entry):
                self._take_entry(each)
            else:
                self._coming.discard(each.file)
                if each.state is None:
                    self._forget_file(each.file)
                elif each.file in self._cold:
                    self._restore(each.file, each.state)

    def _take_entry(self, entry: Entry) -> None:
        if entry.file in self._cold:
            return
        added = self._cold.add(entry.root, entry.tokens, entry.file, exact=entry.exact)
        if added.kept:
            for stale in added.freed:
                self._delete(stale)
        else:
            self._delete(entry.file)

    def _restore(self, file: int, state: memoryview) -> None:
        """Put the content of a file on a shelf; where it does not go, the prompt is computed."""
        tokens, text = self._cold.tokens_of(file), self._cold.root_of(file)
        assert isinstance(text, str)
        adapters, _, caller = text.partition("\n")
        shelf = self._shelf()
        if shelf is None:
            return
        try:
            self._backend.restore(shelf, state, len(tokens))
        except HearthError:
            # Most often there is no room for it among what is there.
            self.give_room(len(tokens))
            try:
                self._backend.restore(shelf, state, len(tokens))
            except HearthError:
                # Those who run have it all. The file is as good as before, for another process.
                self._free.append(shelf)
                return
        exact = not self._backend.cuttable(shelf)
        added = self._tree.add(Root(adapters, caller), tokens, shelf, exact=exact)
        self._kept = True
        if not added.kept:
            self._release(shelf)
            return
        self._files[shelf] = file
        for freed in added.freed:
            self._release(freed)

    def _forget_file(self, file: int) -> None:
        if file in self._cold:
            self._cold.remove(file)
        self._delete(file)

    def _delete(self, file: int) -> None:
        if self._store is not None:
            self._store.delete(file)

    def unsaved(self) -> list[int]:
        """Shelves worth writing to disk that are not there yet, the one used last first."""
        if self._store is None or not self._backend.facts.capabilities.save:
            return []
        return [
            shelf
            for shelf in self._tree.holders[::-1]
            if shelf not in self._files and self._tree.length(shelf) >= WORTH_SAVING
        ]

    def idle_for(self) -> float:
        """Seconds since something was last kept."""
        return time.monotonic() - self._changed

    def save(self, shelf: int) -> None:
        """Hand the state of `shelf` to the disk: it is copied now, and written by another thread."""
        if self._store is None:
            return
        root = self._tree.root_of(shelf)
        assert isinstance(root, Root)
        tokens = self._tree.tokens_of(shelf)
        exact = not self._backend.cuttable(shelf)
        if self._backend.saves_exactly and not exact:
            # What comes next begins with the prompt in any case; templates may write the answer otherwise.
            exact = True
            tokens = tokens[: max(1, self._prompts.get(shelf, len(tokens)) - 1)]
        try:
            state = self._backend.save(shelf, len(tokens))
        except HearthError:
            # It serves from memory all the same, and is not tried again.
            self._files[shelf] = _NOWHERE
            return
        file = self._store.write(root.text, tokens, state, exact=exact)
        # Whoever wants it from now on reads it behind the writing.
        self._take_entry(Entry(file, root.text, tokens, exact))
        self._files[shelf] = file
        self._asked.add(file)
        for replaced in self._replaced.pop(shelf, ()):
            self._forget_file(replaced)

    def close(self, seconds: float) -> None:
        """Save what is worth it, the latest first, in at most about `seconds`."""
        if self._store is None:
            return
        end = time.monotonic() + seconds
        for shelf in self.unsaved():
            if time.monotonic() > end:
                break
            self.save(shelf)
        self._store.close(max(0.1, end - time.monotonic()))

"""`RemoteEngine`: an engine that runs elsewhere, over the native routes of its server.

What the face answers at once (`running`, `loaded`, `pulls`, `logs`) is what was last heard; it is asked for anew behind
each look, so that a pane that looks twice a second is half a second behind and never waits for a network. Whoever
looks from a thread that has time (no event loop runs on it) gets a fresh answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from msgspec.structs import replace

from engine.checking import check
from engine.errors import HearthError
from engine.paths import Paths, resolve
from engine.remote.address import Address
from engine.remote.conversations import RemoteConversations
from engine.remote.hub import RemoteHub
from engine.remote.jobs import RemoteJobs
from engine.remote.metrics import RemoteMetrics
from engine.remote.naming import RemoteNaming
from engine.remote.streams import Generation
from engine.settings import Settings
from engine.stream import EventStream
from engine.types import (
    Embeddings,
    EmbedRequest,
    Estimate,
    Failed,
    Fit,
    GenerationRequest,
    Hardware,
    HardwarePoint,
    LoadedModel,
    LoadOptions,
    LogLine,
    Message,
    ModelEntry,
    ModelFacts,
    PullState,
    Ranking,
    RerankRequest,
    RunningRequest,
    Thinking,
    Tool,
)

_T = TypeVar("_T")
FRESH_S: Final = 0.3
"""What was heard so lately is not asked for again."""
LOOK_S: Final = 5.0
"""How long a look from a thread waits."""


class _Known(Generic[_T]):
    """A list that was heard, and when."""

    def __init__(self, path: str, kind: Any) -> None:
        self.path, self.kind = path, kind
        self.value: list[_T] = []
        self.heard = float("-inf")
        self.asking: concurrent.futures.Future[None] | None = None


class RemoteEngine(RemoteHub, RemoteNaming):
    """See `engine.face.Engine`. Making one is cheap: the thread starts at the first call; `connect` tries it.

    `paths` says where pictures of conversations are kept, else the environment does.
    """

    def __init__(self, address: Address, *, paths: Paths | None = None) -> None:
        self._open_link(address)
        places = paths if paths is not None else resolve()
        self.conversations = RemoteConversations(self, places.cache / "pictures")
        self.jobs = RemoteJobs(self)
        self.metrics = RemoteMetrics(self)
        self._running = _Known[RunningRequest]("running", list[RunningRequest])
        self._loaded = _Known[LoadedModel]("loaded", list[LoadedModel])
        self._pulls = _Known[PullState]("pulls", list[PullState])
        self._logs = _Known[LogLine]("logs", list[LogLine])
        self._tasks: set[asyncio.Task[Any]] = set()
        self._problem: HearthError | None = None

    async def connect(self) -> None:
        """Make sure that an engine is there and lets us in.

        Raises ModelUnavailable where nothing answers, NotAllowed without the key, Unsupported for another program.
        """
        await self._on_loop(self._refresh(self._loaded))

    @property
    def problem(self) -> HearthError | None:
        """Why the last look failed; None while the connection is there."""
        return self._problem

    # --- requests

    def generate(self, request: GenerationRequest) -> EventStream:
        request = replace(request, id=request.id or uuid.uuid4().hex)
        made: list[Generation] = []

        def cancel() -> None:
            self._call(lambda: made[0].cancel() if made else None)

        stream = EventStream(request.id, cancel)

        def begin() -> None:
            made.append(Generation(self._link, request, stream))
            self._kept(made[0].follow())

        try:
            with self._starting:
                self._running_loop().call_soon_threadsafe(begin)
        except HearthError as error:
            stream.push(Failed(error=error.info))
        return stream

    async def cancel(self, request_id: str) -> bool:
        async def there() -> bool:
            answer = await self._link.ask("DELETE", f"running/{request_id}", dict[str, bool])
            await self._refresh(self._running)
            return bool(answer["cancelled"])

        return await self._on_loop(there())

    def running(self) -> list[RunningRequest]:
        return self._look(self._running)

    # --- models

    async def load(
        self,
        model: str,
        options: LoadOptions | None = None,
        *,
        keep_alive: float | None = None,
        force: bool = False,
    ) -> None:
        asked = {"model": model, "options": options, "keep_alive": keep_alive, "force": force}
        await self._changing("load", asked)

    async def unload(self, model: str) -> bool:
        return bool((await self._changing("unload", {"model": model})).get("was_loaded"))

    async def pin(self, model: str) -> None:
        await self._changing("pin", {"model": model})

    async def unpin(self, model: str) -> None:
        await self._changing("unpin", {"model": model})

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        return await self._post("estimate", Estimate, {"model": model, "options": options}, patient=True)

    async def fits(
        self, models: Sequence[str] | None = None, options: LoadOptions | None = None
    ) -> list[Fit]:
        asked = {"models": None if models is None else tuple(models), "options": options}
        return await self._post("fits", list[Fit], asked, patient=True)

    def adopt(self, settings: Settings) -> None:
        """Told to an engine of this user on this machine; another one goes by its own settings."""

        async def there() -> None:
            with contextlib.suppress(HearthError):
                await self._link.ask("POST", "adopt", dict, settings)

        self._behind(there)

    def loaded(self) -> list[LoadedModel]:
        return self._look(self._loaded)

    async def models(self) -> list[ModelEntry]:
        return await self._get("models", list[ModelEntry])

    async def facts(self, model: str) -> ModelFacts:
        return await self._post("facts", ModelFacts, {"model": model}, patient=True)

    async def tokenize(self, model: str, text: str, *, special: bool = True) -> list[int]:
        asked = {"model": model, "text": text, "special": special}
        return list(await self._said("tokenize", asked, patient=True))

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        return str(await self._said("detokenize", {"model": model, "tokens": tuple(tokens)}, patient=True))

    async def pieces(self, model: str, tokens: Sequence[int]) -> list[bytes]:
        asked = {"model": model, "tokens": tuple(tokens)}
        return list(await self._post("pieces", list[bytes], asked, patient=True))

    async def render(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        open_turn: bool = True,
        thinking: Thinking | None = None,
        template_args: Mapping[str, Any] | None = None,
    ) -> str:
        asked = {
            "model": model,
            "messages": tuple(messages),
            "tools": tuple(tools),
            "open_turn": open_turn,
            "thinking": thinking or Thinking(),
            "template_args": template_args or {},
        }
        return str(await self._said("render", asked, patient=True))

    async def count(self, request: GenerationRequest) -> int:
        check(request)
        from engine.remote.pictures import carried

        return int(await self._said("count", await carried(request), patient=True))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        check(request)
        return await self._post("embed", Embeddings, request, patient=True)

    async def rerank(self, request: RerankRequest) -> Ranking:
        check(request)
        return await self._post("rerank", Ranking, request, patient=True)

    def pulls(self) -> list[PullState]:
        return self._look(self._pulls)

    # --- records

    async def hardware(self) -> Hardware:
        return await self._get("hardware", Hardware)

    async def hardware_history(self, seconds: float) -> list[HardwarePoint]:
        return await self._get(f"hardware_history?seconds={seconds}", list[HardwarePoint])

    async def request_log(self, limit: int = 100) -> list[dict[str, object]]:
        return await self._get(f"request_log?limit={limit}", list[dict[str, object]])

    async def model_log(self, limit: int = 100) -> list[dict[str, object]]:
        return await self._get(f"model_log?limit={limit}", list[dict[str, object]])

    async def server_log(self, limit: int = 100) -> list[dict[str, object]]:
        """The last requests to the server there, oldest first, as it keeps them: more than the engine's face tells."""
        return await self._get(f"http_log?limit={limit}", list[dict[str, object]])

    def logs(self, limit: int = 500) -> list[LogLine]:
        self._logs.path = f"logs?limit={max(limit, 500)}"
        return self._look(self._logs)[-limit:]

    # --- its own life

    async def close(self) -> None:
        """Let go of the other side: what runs there for us ends, what it holds stays."""
        with self._starting:
            already, self._closed = self._closed, True
        if already:
            return
        if self._loop is not None:
            await self._carry(self._shut())
        await self._end_thread()

    async def _shut(self) -> None:
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._made is not None:
            await self._made.close()

    # --- what is known

    def _look(self, known: _Known[_T]) -> list[_T]:
        asked = self._ask_again(known)
        if asked is not None and not _on_a_loop():
            with contextlib.suppress(HearthError, concurrent.futures.TimeoutError):
                asked.result(LOOK_S)
        return known.value

    def _ask_again(self, known: _Known[_T]) -> concurrent.futures.Future[None] | None:
        if known.asking is not None and not known.asking.done():
            return known.asking
        if time.monotonic() - known.heard < FRESH_S:
            return None
        try:
            with self._starting:
                loop = self._running_loop()
                known.asking = asyncio.run_coroutine_threadsafe(self._refresh(known), loop)
        except HearthError:
            return None
        # Why it failed is told by `problem`.
        known.asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return known.asking

    async def _refresh(self, known: _Known[Any]) -> None:
        try:
            value = await self._link.ask("GET", known.path, known.kind)
        except HearthError as error:
            self._problem = error
            raise
        finally:
            known.heard = time.monotonic()
        self._problem = None
        if known is self._loaded and self._link.clock_ns:
            value = [_here(model, self._link.clock_ns) for model in value]
        known.value = value

    async def _changing(self, path: str, body: object) -> dict[str, Any]:
        """The answer to a change; whoever waited for it sees the change."""

        async def there() -> dict[str, Any]:
            answer: dict[str, Any] = await self._link.ask("POST", path, dict[str, Any], body, patient=True)
            await self._refresh(self._loaded)
            return answer

        return await self._on_loop(there())

    def _behind(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with contextlib.suppress(HearthError), self._starting:
            self._running_loop().call_soon_threadsafe(lambda: self._kept(work()))

    def _kept(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _here(model: LoadedModel, apart: int) -> LoadedModel:
    """`model` with its moments by this machine's clock."""
    return model if model.expires_ns is None else replace(model, expires_ns=model.expires_ns + apart)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

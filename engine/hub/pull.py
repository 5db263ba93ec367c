"""One pull, from a name to a model that every program sharing the cache can see. Belongs on the hub's loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from engine.errors import HearthError, InternalError
from engine.hub import plan as planning
from engine.hub.client import Client
from engine.hub.disk import full
from engine.hub.layout import Layout
from engine.hub.reference import Reference
from engine.hub.tally import Tally
from engine.hub.tasks import to_the_end
from engine.hub.transfer import Transfer
from engine.hub.unfinished import Unfinished
from engine.settings import show_size
from engine.types import PullStage, PullState

SPARE: Final = 512 << 20
"""Bytes that a pull leaves free on the disk, beside a twentieth of what it writes."""
WINDOW: Final = 8.0
"""Seconds over which the speed is measured."""
TICK: Final = 0.2


class Pull:
    """`tell` hears of every new state; the last one has ended. `reference` is `asked` with the choice filled in."""

    def __init__(
        self,
        id: str,
        reference: Reference,
        client: Client,
        *,
        connections: int,
        judge: planning.Judge | None,
        unfinished: Unfinished | None,
        tell: Callable[[PullState], None],
    ) -> None:
        self.asked = self.reference = reference
        self._unfinished = unfinished
        self.state = PullState(id=id, model=str(reference))
        self._client, self._connections, self._judge, self._tell = client, connections, judge, tell
        self._tally = Tally(0)
        self._note = ""
        self._samples: deque[tuple[float, int]] = deque()

    async def run(self) -> None:
        """Fetch and publish. Never raises, but for its cancel; what went wrong is in the state."""
        try:
            await self._run()
        except asyncio.CancelledError:
            self.cancelled()
            raise
        except HearthError as error:
            self._end(stage="failed", error=error.info)
        except Exception as error:
            defect = InternalError("The pull met a defect of Hearth's.", f"{type(error).__name__}: {error}")
            self._end(stage="failed", error=defect.info)

    def cancelled(self) -> None:
        """Say that it was given up; what is here of it stays."""
        self._end(stage="cancelled", error=None)

    def waits(self, position: int) -> None:
        """Say how many pulls are before it."""
        self._say(replace(self.state, position=position))

    async def _run(self) -> None:
        self._say(replace(self.state, stage="asking", position=0))
        found = await planning.plan(self._client, self.reference, self._judge)
        files = found.chosen.files
        self.reference = found.reference
        layout = Layout(self._client.access.cache, found.reference)
        await asyncio.to_thread(layout.prepare)
        await asyncio.to_thread(check_space, layout, planning.missing(layout, files))
        self._tally = Tally(sum({file.etag: file.size for file in files}.values()))
        self._say(
            replace(
                self.state,
                model=str(found.reference),
                stage="fetching",
                files=len({file.etag for file in files}),
                size=self._tally.size,
                commit=found.offer.commit,
            )
        )
        if self._unfinished is not None:
            await asyncio.to_thread(self._unfinished.begin, found.reference, found.offer.commit, files)
        transfer = Transfer(
            self._client,
            layout,
            found.reference.repository,
            found.offer.commit,
            files,
            self._tally,
            connections=self._connections,
            note=self._noted,
        )
        clock = asyncio.ensure_future(self._keep_telling())
        try:
            await transfer.run()
        finally:
            clock.cancel()
        snapshot = await to_the_end(layout.publish, found.reference, found.offer.commit, files)
        if self._unfinished is not None:
            await asyncio.to_thread(self._unfinished.finish, found.reference)
        path = snapshot
        if found.chosen.format == "gguf":
            path = snapshot / found.chosen.files[0].path
        self._end(stage="done", error=None, path=str(path))

    async def _keep_telling(self) -> None:
        while True:
            self._say(self._as_it_is())
            await asyncio.sleep(TICK)

    def _as_it_is(self) -> PullState:
        now, tally = time.monotonic(), self._tally
        self._samples.append((now, tally.fetched))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        began, before = self._samples[0]
        speed = (tally.fetched - before) / (now - began) if now > began else 0.0
        left = tally.size - tally.done
        return replace(
            self.state,
            stage=self._stage(),
            done=tally.done,
            fetched=tally.fetched,
            files_done=tally.files_done,
            speed=speed,
            left_s=left / speed if speed > 1.0 else None,
            note=self._words(now),
        )

    def _stage(self) -> PullStage:
        tally = self._tally
        if tally.waiting:
            return "waiting"
        if tally.locked and tally.files_done + len(tally.locked) >= self.state.files:
            return "locked"
        return "verifying" if tally.verifying and tally.done >= tally.size else "fetching"

    def _words(self, now: float) -> str:
        if self._tally.waiting:
            seconds = max(0.0, min(self._tally.waiting.values()) - now)
            return f"{self._tally.trouble} Next try in {seconds:.0f} s.".strip()
        if self._tally.locked:
            return f"Another program is fetching {min(self._tally.locked)}."
        return self._note

    def _noted(self, text: str) -> None:
        self._note = text

    def _end(self, *, stage: PullStage, error: HearthError | object | None, path: str = "") -> None:
        if self.state.ended:
            return
        last = self._as_it_is() if self._tally.size else self.state
        self._say(replace(last, stage=stage, error=error, path=path, left_s=None, position=0))

    def _say(self, state: PullState) -> None:
        if state != self.state or state.stage == "queued":
            self.state = state
            self._tell(state)


def check_space(layout: Layout, wanted: int) -> None:
    """Raises DiskFull unless the disk has room for `wanted` bytes and something to spare."""
    place: Path = layout.cache
    free = planning.disk_free(place)
    # Less than a few megabytes is not worth a refusal: it is there or it is not.
    spare = min(SPARE + wanted // 20, wanted * 2)
    if wanted and free < wanted + spare:
        raise full(
            place,
            f"{show_size(wanted)} are to be fetched, {show_size(spare)} to stay free; {show_size(free)} are free.",
        )

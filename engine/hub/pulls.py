"""The queue of pulls: one runs, over all connections, the others wait. Belongs on the hub's loop."""

from __future__ import annotations

import asyncio
from typing import Final

from engine.hub.client import Client
from engine.hub.plan import Judge
from engine.hub.pull import Pull
from engine.hub.reference import Reference
from engine.hub.stream import PullStream
from engine.hub.unfinished import Unfinished
from engine.types import PullState

REMEMBERED: Final = 50
"""Pulls that have ended and are still listed."""


class Pulls:
    """Starts the next pull when one has ended. `judge` chooses what fits where nobody says a quantisation."""

    def __init__(
        self,
        client: Client,
        *,
        connections: int,
        judge: Judge | None = None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._client, self._connections, self._judge = client, connections, judge
        self._unfinished = unfinished
        self._waiting: list[Pull] = []
        self._states: dict[str, PullState] = {}
        """Of every pull by its id, those that ended in the order of their ends. Replaced whole: others look at it."""
        self._current: tuple[Pull, asyncio.Task[None]] | None = None
        self._streams: dict[str, list[PullStream]] = {}
        self._closing = False

    def add(self, reference: Reference, stream: PullStream) -> None:
        """Queue a pull under the id of `stream`; one of the same reference that has not ended is joined instead."""
        for pull in self._going():
            if reference in (pull.asked, pull.reference):
                self._streams[pull.state.id].append(stream)
                stream.id = pull.state.id
                stream.push(pull.state)
                return
        pull = Pull(
            stream.id,
            reference,
            self._client,
            connections=self._connections,
            judge=self._judge,
            unfinished=self._unfinished,
            tell=self._tell,
        )
        self._streams[stream.id] = [stream]
        self._waiting.append(pull)
        self._next()

    def states(self) -> list[PullState]:
        """What runs, what waits, then what has ended, the newest first. From any thread."""
        states = list(self._states.values())
        going = sorted((state for state in states if not state.ended), key=lambda state: state.position)
        return going + [state for state in reversed(states) if state.ended]

    def cancel(self, id: str) -> bool:
        """Give a pull up; False if there is none of that id that has not ended."""
        if self._current is not None and self._current[0].state.id == id:
            if self._current[0].state.ended:
                return False
            return self._current[1].cancel()
        for pull in self._waiting:
            if pull.state.id == id:
                self._waiting.remove(pull)
                pull.cancelled()
                self._next()
                return True
        return False

    async def close(self) -> None:
        """End all pulls; what is here of them stays for the next time."""
        self._closing = True
        for pull in list(self._waiting):
            self.cancel(pull.state.id)
        if self._current is not None:
            self._current[1].cancel()
            await asyncio.wait({self._current[1]})

    def _going(self) -> list[Pull]:
        """What runs and what waits. One that has just ended is still the current one, for a moment."""
        current = [self._current[0]] if self._current is not None else []
        return [pull for pull in current if not pull.state.ended] + self._waiting

    def _next(self) -> None:
        if self._current is None and self._waiting and not self._closing:
            pull = self._waiting.pop(0)
            task = asyncio.ensure_future(pull.run())
            self._current = pull, task
            task.add_done_callback(self._over)
        for place, pull in enumerate(self._waiting):
            pull.waits(place + 1)

    def _over(self, task: asyncio.Task[None]) -> None:
        assert self._current is not None
        # One that was cancelled before its first step has not said so itself.
        self._current[0].cancelled()
        self._current = None
        self._next()

    def _tell(self, state: PullState) -> None:
        others = {id: other for id, other in self._states.items() if id != state.id}
        ended = [id for id, other in others.items() if other.ended]
        for id in ended[: max(0, len(ended) - REMEMBERED)]:
            del others[id]
        self._states = {**others, state.id: state}
        for stream in self._streams.get(state.id, ()):
            stream.push(state)
        if state.ended:
            self._streams.pop(state.id, None)

"""What becomes of requests when their model is lost under them, or has no memory for them.

A worker died, or the file that it has mapped was changed: who has shown nothing is tried once more, the others end in
the error. What deaths mean in the long run is decided in `deaths`.
"""

from __future__ import annotations

import time

from engine.errors import HearthError, InsufficientMemory, ModelUnavailable, WorkerDied
from engine.runtime.deaths import try_again
from engine.runtime.fitting import LEAST_CONTEXT, is_automatic
from engine.runtime.host import Host
from engine.runtime.logring import LogRing
from engine.runtime.place import Place
from engine.runtime.room import Reason, Room
from engine.runtime.wire import Item, Piece
from engine.settings import Runtime
from engine.types import Failed


class Losses:
    """Ends or puts back what ran on a place, and has the room let its worker go. Belongs on the engine's loop."""

    def __init__(self, log: LogRing, room: Room) -> None:
        self._log, self._room = log, room

    def died(self, place: Place, host: Host, error: WorkerDied) -> None:
        """The worker `host` of `place` has ended, and nobody had asked it to."""
        if place.host is not host or place.state == "leaving" or self.file_changed(place):
            # Where it read weights that were no longer there it is no fault of the model's.
            return
        place.deaths.add(time.monotonic_ns())
        place.error = error.info
        self._fall(place, error, "died")

    def file_changed(self, place: Place) -> bool:
        """Whether the file of `place` was written while it was mapped: its weights are not what they were.

        The model is then ended.
        """
        path = place.files.changed() if place.files is not None else ""
        if not path:
            return False
        error = ModelUnavailable(
            f"The file of {place.id} was changed while the model was in use.",
            f"{path} was overwritten or cut.",
            "Send the request again: the model is loaded anew from the file as it is now.",
            param="model",
        )
        self._fall(place, error, "file_changed")
        return True

    def _fall(self, place: Place, error: HearthError, reason: Reason) -> None:
        """The model of `place` is lost: end what it ran, or put it back if nobody has seen anything of it."""
        place.state = "leaving"
        self._log.add("error", place.id, error.info.sentence())
        tickets, place.running = list(place.running.values()), {}
        again = []
        for ticket in tickets:
            ticket.deaths += 1
            if ticket.cancelled:
                ticket.end("cancelled")
            elif try_again(ticket.deaths, ticket.shown):
                ticket.loading("starting")
                again.append(ticket)
            else:
                ticket.fail(error)
        place.waiting[:0] = again
        place.fail_replies(error)
        self._room.dismiss(place, reason)

    def narrowed(self, place: Place, item: Item, runtime: Runtime) -> bool:
        """Whether `item` says that memory ran out in a step for a request that is tried again with half the window.

        Once for each request, if nobody has seen anything of it and nobody asked for the window. Those that run go on
        to their ends before the model is loaded anew.
        """
        if isinstance(item, Piece) or not isinstance(item.event, Failed) or place.facts is None:
            return False
        ticket = place.running.get(item.key)
        if (
            item.event.error.code != InsufficientMemory.code
            or ticket is None
            or ticket.shown
            or ticket.starved
        ):
            return False
        context = place.facts.context // 2
        tokens = ticket.admitted.prompt_tokens if ticket.admitted is not None else 0
        automatic = all(is_automatic(each, runtime) for each in (place.asked, ticket.request.load))
        if not automatic or context < max(LEAST_CONTEXT, tokens + 1):
            return False
        del place.running[item.key]
        place.waiting.insert(0, ticket)
        place.narrowed, place.draining, ticket.starved = context, True, True
        self._log.add("warning", place.id, f"memory ran out in a step: loading with a context of {context}")
        ticket.loading("waiting")
        return True


def quarantined(place: Place, seconds: float) -> ModelUnavailable:
    """The refusal of a model whose worker has died too often, for `seconds` more."""
    last = f" The last time: {place.error.why}" if place.error is not None else ""
    return ModelUnavailable(
        f"{place.id} is not loaded again for {seconds / 60:.0f} minutes.",
        f"Its process died three times in ten minutes.{last}",
        "Check the model file, try other load options, or use another model.",
        param="model",
    )

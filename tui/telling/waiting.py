"""What is said while an answer has not begun: the place in the line, the stage of a load."""

from __future__ import annotations

from engine.text_safety import plain

STAGES: dict[str, str] = {
    "waiting": "waiting for room in memory",
    "checking": "checking the file",
    "estimating": "estimating its memory",
    "starting": "starting its process",
    "weights": "reading the weights",
    "context": "setting up the context",
}
"""The stages of a load, by `Loading.stage`, in their order."""
FULL, EMPTY = "━", "╌"


def stage(name: str) -> str:
    """What happens in a stage; one that is not known is told by its name."""
    return STAGES.get(name) or plain(name, 30)


def queued(position: int, eta_s: float | None) -> str:
    """`place 2 in the queue · about 8 s`."""
    return f"place {position} in the queue" + ("" if eta_s is None else f" · {about(eta_s)}")


def about(seconds: float) -> str:
    """A wait that is only guessed: whole seconds, from a minute and a half on minutes."""
    return f"about {max(1, round(seconds))} s" if seconds < 90 else f"about {round(seconds / 60)} min"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled by `share` (0 to 1)."""
    full = round(width * min(1.0, max(0.0, share)))
    return FULL * full + EMPTY * (width - full)

"""What is said in passing when a pull ends, wherever the person is just then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.text_safety import plain

if TYPE_CHECKING:
    from engine.types import PullState
    from tui.flash import Kind


def endings(before: Sequence[PullState], now: Sequence[PullState]) -> Iterator[tuple[str, Kind]]:
    """A sentence for each pull that came to its end between two looks; what was cancelled was said already."""
    if before == now:
        return
    known = {state.id for state in before if state.ended}
    for state in now:
        if state.id in known:
            continue
        name = plain(state.model, 80)
        if state.stage == "done":
            yield f"{name} is here, verified: ctrl+k chooses it for the chat.", "success"
        elif state.stage == "failed":
            yield f"The pull of {name} failed: Models says why and goes on with it.", "error"

"""How points from the store and of the last minutes make one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types.hardware import HardwarePoint


def joined(stored: Sequence[HardwarePoint], fine: Sequence[HardwarePoint]) -> list[HardwarePoint]:
    """Both, oldest first: where fine points begin, the stored ones end."""
    start = fine[0].t_unix if fine else float("inf")
    return [*(point for point in stored if point.t_unix < start), *fine]

"""Two answers side by side: a judge says which is better, asked twice with their places changed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Better = Literal["first", "second", "tie"]


class Verdict(Struct, frozen=True, kw_only=True):
    """`better` of the run's first subject and `subject`, on one sample. Where the two askings disagree it is a tie."""

    subject: int
    sample: int
    epoch: int = 0
    better: Better
    agreed: bool = True
    """Whether both askings, with the places changed, said the same."""
    note: str = ""
    """What could not be judged, and why."""

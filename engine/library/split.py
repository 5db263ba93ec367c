"""How the layers of a model are spread over several devices, as people say it: by shares, or by most memory. Pure.

`3,1` gives the first device three times as many layers as the second; `10GB,24GB` lets each take so much at most, and
the last of all what is left. They are meant for the devices in their order.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.settings import parse_size
from engine.text_safety import plain

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_MOST_PARTS: Final = 16


class Split(Struct, frozen=True):
    """Either `shares`, of which one at least is above zero, or `sizes` in bytes."""

    shares: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        return len(self.shares) or len(self.sizes)


def parse_split(text: str) -> Split:
    """What `text` says. Raises InvalidRequest."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > _MOST_PARTS:
        raise _wrong(text, f"It has {len(parts)} parts; {_MOST_PARTS} are the most.")
    if all(_NUMBER.fullmatch(part) for part in parts):
        shares = tuple(map(float, parts))
        if not 0 < sum(shares) < float("inf"):
            raise _wrong(text, "No device has a share.")
        return Split(shares=shares)
    try:
        return Split(sizes=tuple(_size(part) for part in parts))
    except ValueError:
        raise _wrong(text, "It is neither shares nor sizes.") from None


def check_count(split: Split | None, devices: int) -> None:
    """Raises InvalidRequest where there are not as many devices as parts."""
    if split is not None and split.count != devices:
        raise InvalidRequest(
            f"`split` has {split.count} parts, for {devices} device{'' if devices == 1 else 's'}.",
            "There is one for each of `device`, or for each GPU where that names none.",
            "Name the devices with commas between: `device` cuda:0,cuda:1.",
            param="split",
        )


def _size(part: str) -> int:
    if _NUMBER.fullmatch(part):
        # Among sizes a number without a unit is a slip, not so many bytes.
        raise ValueError(part)
    return parse_size(part)


def _wrong(text: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"`split` {plain(text, 60)!r} cannot be used.",
        why,
        "Say shares such as 3,1, or the most memory for each device, such as 10GB,24GB.",
        param="split",
    )

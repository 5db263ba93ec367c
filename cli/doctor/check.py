"""What a check found: `ok`, a `note` on something that Hearth can do without, or `broken`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["ok", "note", "broken"]


class Check(Struct, frozen=True):
    """`found` is one sentence or figure; `fix` is empty where nothing need be done."""

    name: str
    state: State
    found: str
    fix: str = ""

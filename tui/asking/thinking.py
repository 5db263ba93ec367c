"""How much a model is to think, as `/think` says it: by a switch, a level or a budget, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

OFF = {"think": ("off", "false", "no"), "effort": ("none",), "think_budget": ("0",)}
"""The options that thinking is set by, with the values that switch it off whatever the others say."""


def opposed(name: str, text: str, held: Mapping[str, str]) -> tuple[str, ...]:
    """The options of those that are `held` which would keep what is now said from holding: a level after `off`."""
    if text.lower() in OFF[name]:
        return ()
    return tuple(
        other for other, words in OFF.items() if other != name and held.get(other, "").lower() in words
    )

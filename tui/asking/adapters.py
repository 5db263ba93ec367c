"""The adapters of a conversation, as they are written, chosen and shown."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

from engine.text_safety import plain
from engine.types import AdapterRef

OWN = "default"
"""The model's own adapter, if it has one: what holds when nothing is said."""
BASE = "base"
_DIGEST = re.compile(r"[0-9a-f]{32,}")


def adapters(text: str, known: Collection[str] = ()) -> tuple[AdapterRef, ...] | None:
    """What `pirate`, `pirate=0.5+poet`, `base` or `default` asks for; None is the model's own.

    `known` are names that are meant whole, whatever they hold. Raises InvalidRequest.
    """
    text = text.strip()
    if text.lower() in ("", OWN):
        return None
    from engine import parse_adapters

    return parse_adapters(text, known)


def written(chosen: tuple[AdapterRef, ...] | None) -> str:
    """The text that `adapters` reads as this; empty for the model's own."""
    if chosen is None:
        return ""
    return "+".join(each.name + _scale(each.scale, "=") for each in chosen) or BASE


def shown(chosen: tuple[AdapterRef, ...]) -> str:
    """For people: `pirate × 0.5 + poet`; empty for none."""
    return " + ".join(plain(each.name, 30) + _scale(each.scale, " × ") for each in chosen)


def _scale(scale: float, sign: str) -> str:
    return "" if scale == 1.0 else f"{sign}{scale:g}"


def without_adapter(model: str, known: Collection[str]) -> str:
    """The model of `model:adapter`; a name that is among the `known` as a whole is one, colon or not."""
    base = model.rpartition(":")[0]
    return base if model not in known and base in known else model


def named(
    made_with: tuple[AdapterRef, ...],
    asked: tuple[AdapterRef, ...] | None,
    model: str,
    known: Collection[str] = (),
) -> tuple[AdapterRef, ...]:
    """The adapters that an answer was made with, by the names that people know; the engine tells their files.

    `asked` and `model` are those of the request: where they name as many adapters as there were, those are the
    names. Else the file's, or its folder's, is.
    """
    names = [each.name for each in asked or () if each.name.lower() not in (BASE, "none")]
    suffix = model.rpartition(":")[2].partition("=")[0] if "/" not in model and asked is None else ""
    if len(made_with) == 1 and (suffix in known or (suffix != model and not known)):
        names = [suffix]
    if len(names) != len(made_with):
        names = [_name(each.name, known) for each in made_with]
    return tuple(AdapterRef(name, each.scale) for name, each in zip(names, made_with, strict=True))


def _name(path: str, known: Collection[str]) -> str:
    place = PurePath(path)
    if place.stem in known or (place.parent.name not in known and not _DIGEST.fullmatch(place.stem)):
        return place.stem or path
    return place.parent.name if place.parent.name in known else OWN

"""What the texts of `cli.options` mean: each function takes one text and gives the value, or raises with a sentence.

Nothing is imported until a text is read, since the table is loaded for `--help` too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ON_OFF = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("It must be a whole number.") from None


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("It must be a number.") from None


def sampling(text: str) -> tuple[str, Any]:
    """The name of a sampling value and the value, as JSON writes it or as it stands."""
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("It must be NAME=VALUE.")
    try:
        return name.strip().replace("-", "_"), json.loads(value)
    except (ValueError, RecursionError):
        return name.strip().replace("-", "_"), value.strip()


def duration(text: str) -> float:
    """Seconds, from `5m` and the like."""
    from engine.settings import parse_duration

    return parse_duration(text)


def stop(text: str) -> str:
    """A text to stop before."""
    if not text:
        raise ValueError("It must not be empty.")
    return text


def switch(text: str) -> bool:
    """On or off."""
    try:
        return ON_OFF[text.lower()]
    except KeyError:
        raise ValueError("It must be on or off.") from None


def think(text: str) -> bool | None:
    """On, off, or None for auto."""
    if text.lower() == "auto":
        return None
    try:
        return ON_OFF[text.lower()]
    except KeyError:
        raise ValueError("It must be on, off or auto.") from None


def hidden(text: str) -> bool:
    """Whether thinking is visible where `text` says whether it is hidden."""
    return not switch(text)


def cache(text: str) -> Any:
    """Whether the prefix cache is read and written."""
    from engine.types import CachePolicy

    used = switch(text)
    return CachePolicy(read=used, write=used)


def adapter(text: str) -> Any:
    """An adapter, by name or path, with `=` and its scale behind."""
    from engine.types import AdapterRef

    name, equals, scale = text.rpartition("=")
    if not equals:
        return AdapterRef(text)
    if not name:
        raise ValueError("It must be NAME or NAME=SCALE.")
    try:
        factor = float(scale)
    except ValueError:
        raise ValueError(f"The scale after = must be a number, not {scale!r}.") from None
    if not -100 <= factor <= 100:
        raise ValueError(f"The scale after = must be between -100 and 100, not {scale!r}.")
    return AdapterRef(name, factor)


def adapters(chosen: tuple[Any, ...]) -> tuple[Any, ...]:
    """Several of them; `base`, `none` and nothing stand for none at all, and stand alone."""
    named = tuple(each for each in chosen if each.name.lower() not in ("", "base", "none"))
    if named and len(named) < len(chosen):
        raise ValueError("base is the model without an adapter; nothing can be added to that.")
    return named


def json_mode(text: str) -> Any:
    """The constraint to JSON, or to nothing for off: an alias may ask for JSON."""
    if switch(text):
        return _constraint("json", "")
    from engine.types import Constraint

    return Constraint(kind="text")


def schema(text: str) -> Any:
    """The constraint to the schema of a file, or to one written out."""
    return _constraint("schema", text)


def grammar(text: str) -> Any:
    """The constraint to the grammar of a file."""
    return _constraint("grammar", text)


def regex(text: str) -> Any:
    """The constraint to a pattern."""
    return _constraint("regex", text)


def choices(texts: tuple[str, ...]) -> Any:
    """The constraint to one of several texts."""
    from tui.asking.constraints import choices as of

    return of(list(texts))


def _constraint(kind: Any, text: str) -> Any:
    from tui.asking.constraints import constraint

    return constraint(kind, text, Path.cwd())


def tools(text: str) -> Any:
    """The tools of a file."""
    from tui.asking.tools import tools as of

    return of(text, Path.cwd())


def tool_choice(text: str) -> Any:
    """Whether tools may, must or must not be called, or which."""
    from tui.asking.tools import tool_choice as of

    return of(text)

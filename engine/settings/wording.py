"""Values of settings as people read them, and as they would type them; what is secret in them is never shown."""

from __future__ import annotations

import re
from typing import Any

from engine.settings.catalogue import Setting
from engine.settings.document import literal
from engine.settings.sizes import show_size

HIDDEN = "••••"
_LOGIN = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*(?=@)")


def without_secrets(setting: Setting, value: Any) -> Any:
    """`value` with dots in place of what nobody should read over a shoulder: passwords within addresses too."""
    if isinstance(value, str):
        return HIDDEN if setting.secret and value else _LOGIN.sub(rf"\1:{HIDDEN}", value)
    if isinstance(value, tuple | list):
        return type(value)(without_secrets(setting, each) for each in value)
    return value


def shown(setting: Setting, value: Any) -> str:
    """One line for people: `5m`, `8.0 GiB`, `on`, `not set`."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if setting.duration:
        return show_duration(value)
    if setting.size:
        return show_size(value)
    value = without_secrets(setting, value)
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value) or "none"
    if isinstance(value, dict):
        if setting.others:
            return ", ".join(value) or "none"
        return literal({str(name): each for name, each in value.items()})
    return str(value)


def typed(setting: Setting, value: Any) -> str:
    """The text that gives `value` again when it is typed; empty where nothing is set."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        words = [str(each) for each in value]
        plain = all(word == word.strip() and word and not set(word) & set(',"[]{}') for word in words)
        return ", ".join(words) if plain else literal(value)
    if setting.duration:
        return show_duration(value) if value >= 0 else str(int(value))
    if isinstance(value, bool | dict):
        return literal(
            {str(name): each for name, each in value.items()} if isinstance(value, dict) else value
        )
    return str(value)


def show_duration(seconds: float) -> str:
    """`90s`, `5m`, `1h30m`; a negative one stands for ever."""
    if seconds < 0:
        return "for ever"
    if seconds != int(seconds) or seconds < 60:
        return f"{seconds:g}s"
    parts, left = [], int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)

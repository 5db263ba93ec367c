"""The errors of settings: each names the place, the key, the value and the remedy."""

from __future__ import annotations

from typing import Any

from engine.errors import InvalidSettings
from engine.settings.catalogue import Setting, catalogue, near
from engine.settings.source import Source


def unknown(source: Source, key: str) -> InvalidSettings:
    """`key` is no setting."""
    candidates = near(key)
    if candidates:
        fix = f"Did you mean {' or '.join(f'`{name}`' for name in candidates)}? Otherwise remove it."
    else:
        fix = "Remove it; `hearth config schema` lists every setting."
    return InvalidSettings(f"Unknown setting `{key}`.", f"{source.place(key)}.", fix, param=key)


def not_a_table(source: Source, key: str, value: Any) -> InvalidSettings:
    """`key` is a section, and a plain value was given for it."""
    inside = next(name for name in catalogue() if name.startswith(key + "."))
    return InvalidSettings(
        f"`{key}` is a section and cannot be {_shown(value)}.",
        f"{source.place(key)}.",
        f"Write [{key}] and below it a line such as {inside[len(key) + 1 :]} = …",
        param=key,
    )


def bad_value(source: Source, setting: Setting, value: Any, reason: str) -> InvalidSettings:
    """The value does not suit the setting."""
    default = "it is then not set" if setting.default is None else f"the default is {_shown(setting.default)}"
    return InvalidSettings(
        f"`{setting.key}` cannot be {_shown(value)}.",
        f"{source.place(setting.key)}: {reason.rstrip('.')}.",
        f"Give {setting.expects}, or remove it ({default}).",
        param=setting.key,
    )


def not_from_here(source: Source, setting: Setting) -> InvalidSettings:
    """A setting that guards this machine stands in the current folder's file."""
    return InvalidSettings(
        f"`{setting.key}` may not be set by a file in the current folder.",
        f"{source.place(setting.key)}: it may be somebody else's, and this setting guards your machine.",
        "Move it to your own settings (`hearth config path`), or name this file with --config.",
        param=setting.key,
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 120 else text[:117] + "…"

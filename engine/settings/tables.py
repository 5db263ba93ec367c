"""Settings as rows: for `hearth config show`, the settings screen, the docs, and JSON Schema for editors."""

from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec
from msgspec import Struct

from engine.settings.catalogue import catalogue
from engine.settings.layers import Loaded
from engine.settings.schema import Settings


class SettingRow(Struct, frozen=True):
    """A setting in force: `source` is `default`, a file, `environment NAME` or `command line`."""

    key: str
    value: Any
    source: str
    description: str


class SettingDescription(Struct, frozen=True):
    """A setting as it may be: what it takes and what holds without it."""

    key: str
    expects: str
    default: Any
    description: str


def rows(loaded: Loaded) -> list[SettingRow]:
    """Every setting with its value and source, in the order of the schema."""
    return [
        SettingRow(key, value_of(loaded.settings, key), loaded.sources[key], setting.description)
        for key, setting in catalogue().items()
    ]


def describe() -> list[SettingDescription]:
    """Every setting with what it takes, its default (None: not set) and its description."""
    return [
        SettingDescription(key, setting.expects, setting.default, setting.description)
        for key, setting in catalogue().items()
    ]


def value_of(settings: Settings, key: str) -> Any:
    """The value at a dotted key."""
    return reduce(getattr, key.split("."), settings)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a settings file, for editors that check and complete TOML by it."""
    made = msgspec.json.schema(Settings)
    for key in (key for key, setting in catalogue().items() if setting.duration or setting.size):
        table, name = key.split(".")
        described = made["$defs"][table.capitalize()]["properties"][name]
        described.pop("anyOf", None)
        described["type"] = ["number", "string"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Hearth settings", **made}

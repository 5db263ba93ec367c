"""Settings as rows: for `hearth config show`, the settings screen, the docs, and JSON Schema for editors."""

from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec
from msgspec import Struct

from engine.settings.catalogue import catalogue, others
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
    """Every setting with its value and source, in the order of the schema; names of models each by itself."""
    found: list[SettingRow] = []
    for key, setting in catalogue().items():
        value = value_of(loaded.settings, key)
        if not setting.others:
            found.append(SettingRow(key, value, loaded.sources[key], setting.description))
            continue
        section = key.rpartition(".")[0]
        found += [
            SettingRow(f"{section}.{name}", each, loaded.sources[f"{section}.{name}"], setting.description)
            for name, each in value.items()
        ]
    return found


def describe() -> list[SettingDescription]:
    """Every setting with what it takes, its default (None: not set) and its description."""
    return [
        SettingDescription(key, setting.expects, setting.default, setting.description)
        for key, setting in catalogue().items()
        if not setting.others
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
    for section, setting in others().items():
        table = made["$defs"][section.capitalize()]
        del table["properties"][setting.key.rpartition(".")[2]]
        table["additionalProperties"] = {"type": "string", "description": setting.description}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Hearth settings", **made}

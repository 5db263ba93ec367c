"""Settings as rows: for `hearth config show`, the settings screen, the docs, and JSON Schema for editors."""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.settings.catalogue import Setting, catalogue, others
from engine.settings.layers import Loaded
from engine.settings.marks import Applies
from engine.settings.schema import Settings
from engine.settings.wording import without_secrets

Layer = Literal["default", "file", "project file", "environment", "command line"]
"""The kinds of sources, weakest first: `file` is the user's own or the one of --config."""


class SettingRow(Struct, frozen=True):
    """A setting in force: `source` is `default`, a file, `environment NAME` or `command line`."""

    key: str
    value: Any
    source: str
    description: str


class SettingState(Struct, frozen=True, kw_only=True):
    """Everything about one setting, for `hearth config list` and the settings screen."""

    key: str
    section: str
    value: Any
    default: Any
    source: str
    """As in `SettingRow`."""
    layer: Layer
    applies: Applies
    """From when on a running workstation goes by a changed value."""
    expects: str
    choices: tuple[str, ...]
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
        value = without_secrets(setting, value_of(loaded.settings, key))
        if not setting.others:
            found.append(SettingRow(key, value, loaded.sources[key], setting.description))
            continue
        section = key.rpartition(".")[0]
        found += [
            SettingRow(f"{section}.{name}", each, loaded.sources[f"{section}.{name}"], setting.description)
            for name, each in value.items()
        ]
    return found


def states(loaded: Loaded) -> list[SettingState]:
    """Every setting with all that is known of it, in the order of the schema."""
    return [
        SettingState(
            key=key,
            section=setting.section,
            value=without_secrets(setting, value_of(loaded.settings, key)),
            default=setting.default,
            source=loaded.sources[key],
            layer=layer_of(loaded, key),
            applies=setting.applies,
            expects=setting.expects,
            choices=setting.choices,
            description=setting.description,
        )
        for key, setting in catalogue().items()
    ]


def by_name(loaded: Loaded, state: SettingState) -> list[SettingState]:
    """A row for each of the names, where `state` is a table of names; else `state` itself."""
    if not catalogue()[state.key].others or not state.value:
        return [state]
    keys = {f"{state.section}.{name}": value for name, value in state.value.items()}
    return [
        replace(
            state, key=key, value=value, default=None, source=loaded.sources[key], layer=layer_of(loaded, key)
        )
        for key, value in keys.items()
    ]


def name_in(setting: Setting, name: str) -> Setting:
    """One name of `setting`, a table of names, as a setting of its own."""
    return replace(
        setting,
        key=f"{setting.section}.{name}",
        named=name,
        type=str,
        default=None,
        description="A name of your own for a model.",
        expects="a path that begins with / or ~ or ./, or org/name at the hub",
        is_text=True,
        others=False,
    )


def layer_of(loaded: Loaded, key: str) -> Layer:
    """Which kind of source the value of `key` comes from."""
    source = loaded.sources[key]
    if source in ("default", "command line"):
        return "default" if source == "default" else "command line"
    if source.startswith("environment "):
        return "environment"
    return "file" if source == str(loaded.own) else "project file"


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


def taken_over(running: Settings, changed: Settings) -> Settings:
    """`running` with every value of `changed` that does not have to wait for the next start."""
    taken: Settings = _mixed(running, changed, "")
    return taken


def _mixed(running: Any, changed: Any, prefix: str) -> Any:
    if isinstance(running, Struct):
        fields = running.__struct_fields__
        return replace(
            running,
            **{
                name: _mixed(getattr(running, name), getattr(changed, name), f"{prefix}.{name}".strip("."))
                for name in fields
            },
        )
    return running if catalogue()[prefix].applies == "start" else changed


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

"""Settings: one schema for the file, the environment, the flags, the settings screen and `hearth config`.

    flags  >  HEARTH_SECTION__KEY  >  ./hearth.toml  >  ~/.config/hearth/config.toml  >  defaults

`load` gives the values, `load_with_sources` also where each comes from, `check` everything that is wrong.
`set_value` and `unset` change the user's file. A wrong value is `InvalidSettings`.
"""

from __future__ import annotations

from engine.settings.catalogue import Setting, expected, near, sections
from engine.settings.catalogue import catalogue as definitions
from engine.settings.document import literal
from engine.settings.duration import parse_duration
from engine.settings.layers import Loaded, check, files, load, load_with_sources
from engine.settings.runtime import Runtime
from engine.settings.sampling import SAMPLING_HELP, SamplingSettings
from engine.settings.schema import (
    Generation,
    Hub,
    Jobs,
    Log,
    Media,
    Models,
    Server,
    Settings,
    Ui,
    Web,
)
from engine.settings.sizes import parse_size, show_size
from engine.settings.tables import (
    Layer,
    SettingDescription,
    SettingRow,
    SettingState,
    by_name,
    describe,
    layer_of,
    name_in,
    rows,
    schema,
    states,
    taken_over,
    value_of,
)
from engine.settings.wording import show_duration, shown, typed, without_secrets
from engine.settings.writing import parsed, set_value, unset

__all__ = [
    "SAMPLING_HELP",
    "Generation",
    "Hub",
    "Jobs",
    "Layer",
    "Loaded",
    "Log",
    "Media",
    "Models",
    "Runtime",
    "SamplingSettings",
    "Server",
    "Setting",
    "SettingDescription",
    "SettingRow",
    "SettingState",
    "Settings",
    "Ui",
    "Web",
    "by_name",
    "check",
    "definitions",
    "describe",
    "expected",
    "files",
    "layer_of",
    "literal",
    "load",
    "load_with_sources",
    "name_in",
    "near",
    "parse_duration",
    "parse_size",
    "parsed",
    "rows",
    "schema",
    "sections",
    "set_value",
    "show_duration",
    "show_size",
    "shown",
    "states",
    "taken_over",
    "typed",
    "unset",
    "value_of",
    "without_secrets",
]

"""Settings: one schema for the file, the environment, the flags, the settings screen and `hearth config`.

    flags  >  HEARTH_SECTION__KEY  >  ./hearth.toml  >  ~/.config/hearth/config.toml  >  defaults

`load` gives the values, `load_with_sources` also where each comes from. A wrong value is `InvalidSettings`.
"""

from __future__ import annotations

from engine.settings.duration import parse_duration
from engine.settings.layers import Loaded, files, load, load_with_sources
from engine.settings.sampling import SAMPLING_HELP, SamplingSettings
from engine.settings.schema import (
    Generation,
    Hub,
    Jobs,
    Log,
    Media,
    Models,
    Runtime,
    Server,
    Settings,
    Ui,
    Web,
)
from engine.settings.sizes import parse_size, show_size
from engine.settings.tables import SettingDescription, SettingRow, describe, rows, schema

__all__ = [
    "SAMPLING_HELP",
    "Generation",
    "Hub",
    "Jobs",
    "Loaded",
    "Log",
    "Media",
    "Models",
    "Runtime",
    "SamplingSettings",
    "Server",
    "SettingDescription",
    "SettingRow",
    "Settings",
    "Ui",
    "Web",
    "describe",
    "files",
    "load",
    "load_with_sources",
    "parse_duration",
    "parse_size",
    "rows",
    "schema",
    "show_size",
]

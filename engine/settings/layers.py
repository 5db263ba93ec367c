"""Lays flags over variables over files over defaults, and says of every value where it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from engine import paths
from engine.settings import problems
from engine.settings.catalogue import Setting, catalogue, others, tables
from engine.settings.duration import parse_duration
from engine.settings.model_names import model_named
from engine.settings.schema import Settings
from engine.settings.sizes import parse_size
from engine.settings.source import Source, command_line, environment, toml_file

LOCAL_FILE = "hearth.toml"


class Loaded(Struct, frozen=True, kw_only=True):
    """Settings with the origin of each dotted key, and the files that were read, weakest first."""

    settings: Settings
    sources: Mapping[str, str]
    files: tuple[Path, ...]


def load(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    cli: Mapping[str, Any] = {},
) -> Settings:
    """The settings in force. Arguments and errors as in `load_with_sources`."""
    return load_with_sources(config, environ=environ, cwd=cwd, cli=cli).settings


def load_with_sources(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    cli: Mapping[str, Any] = {},
) -> Loaded:
    """The settings in force and where each comes from.

    `config` is read in place of the two usual files and must exist. `cli` maps dotted keys to values; None
    means that the flag was not given. Raises InvalidSettings naming source, key, value and remedy.
    """
    folder = Path.cwd() if cwd is None else cwd
    found = [
        path for path in files(config, environ=environ, cwd=folder) if config is not None or path.is_file()
    ]
    own = None if config is not None else folder / LOCAL_FILE
    sources = [toml_file(path, foreign=path == own) for path in found]
    sources += environment(environ, folder)
    sources.append(command_line(cli, folder))

    values: dict[str, Any] = {}
    origins = dict.fromkeys(catalogue(), "default")
    for source in sources:
        for key, value in _flat(source):
            if key not in catalogue():
                section, name = key.split(".", 1)
                setting = others()[section]
                taken = values.setdefault(setting.key, {})
                spelt = next((known for known in taken if known.lower() == name.lower()), name)
                taken[spelt] = model_named(source, key, value)
                origins[setting.key] = origins[f"{section}.{spelt}"] = source.label(key)
                continue
            values[key] = _checked(source, catalogue()[key], value)
            origins[key] = source.label(key)
    settings = msgspec.convert(_nested(values), Settings, str_keys=True)
    return Loaded(settings=settings, sources=origins, files=tuple(found))


def files(
    config: Path | None = None, *, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> tuple[Path, ...]:
    """The files that `load` looks at, weakest first, whether they exist or not."""
    if config is not None:
        return (Path(os.path.expanduser(config)).absolute(),)
    return (paths.resolve(environ).config_file, (cwd or Path.cwd()) / LOCAL_FILE)


def _flat(source: Source) -> Iterator[tuple[str, Any]]:
    """The settings in `source` as dotted keys; tables are walked, a setting that takes a table is a value."""
    waiting = list(source.values.items())[::-1]
    while waiting:
        key, value = waiting.pop()
        if value is None:
            continue
        section = key.partition(".")[0]
        taker = others().get(section)
        if taker is not None and key == taker.key and isinstance(value, Mapping):
            waiting += [(f"{section}.{name}", inner) for name, inner in reversed(list(value.items()))]
        elif key in catalogue() and (taker is None or key != taker.key):
            yield key, value
        elif taker is not None and key != section and key not in tables():
            # Without quotes a dot in a name makes a table: llama3.2 = "…".
            if isinstance(value, Mapping):
                waiting += [(f"{key}.{name}", inner) for name, inner in reversed(list(value.items()))]
            else:
                yield key, value
        elif key in tables():
            if not isinstance(value, Mapping):
                raise problems.not_a_table(source, key, value)
            waiting += [(f"{key}.{name}", inner) for name, inner in reversed(list(value.items()))]
        else:
            raise problems.unknown(source, key)


def _checked(source: Source, setting: Setting, value: Any) -> Any:
    if setting.own and source.foreign:
        raise problems.not_from_here(source, setting)
    try:
        value = source.read(setting, value)
        if setting.duration:
            value = parse_duration(value)
        if setting.size:
            value = parse_size(value)
        value = msgspec.convert(value, setting.type, strict=not source.lenient, str_keys=True)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise problems.bad_value(source, setting, value, str(error)) from None
    return _resolved(value, source.folder) if setting.path else value


def _resolved(value: Any, folder: Path) -> Any:
    """Paths are meant relative to the file that names them."""
    if isinstance(value, tuple):
        return tuple(_resolved(item, folder) for item in value)
    if isinstance(value, str):
        return os.path.normpath(folder / os.path.expanduser(value))
    return value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, name = key.split(".")
        table = root
        for parent in parents:
            table = table.setdefault(parent, {})
        table[name] = value
    return root

"""Lays flags over variables over files over defaults, and says of every value where it comes from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from engine import paths
from engine.errors import InvalidSettings
from engine.settings import problems
from engine.settings.catalogue import Setting, catalogue, others, tables
from engine.settings.duration import parse_duration
from engine.settings.model_names import model_named
from engine.settings.schema import Settings
from engine.settings.sizes import parse_size
from engine.settings.source import Source, command_line, environment, toml_file

LOCAL_FILE = "hearth.toml"
Report = Callable[[InvalidSettings], None]


class Loaded(Struct, frozen=True, kw_only=True):
    """Settings with the origin of each dotted key, and the files that were read, weakest first."""

    settings: Settings
    sources: Mapping[str, str]
    files: tuple[Path, ...]
    own: Path
    """The user's own settings file, there or not: the one that changes are written to."""


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
    own: Path | None = None,
    report: Report | None = None,
) -> Loaded:
    """The settings in force and where each comes from.

    `config` is read in place of the two usual files and must exist; `own` in place of the user's own file, if it
    is there. `cli` maps dotted keys to values; None means that the flag was not given. Raises InvalidSettings naming
    source, key, value and remedy, or hands each of them to `report` and goes on without that value.
    """
    folder = Path.cwd() if cwd is None else cwd
    tell = _raise if report is None else report
    usual = files(config, environ=environ, cwd=folder, own=own)
    found = [path for path in usual if config is not None or path.is_file()]
    foreign = None if config is not None else folder / LOCAL_FILE
    sources: list[Source] = []
    for path in found:
        try:
            sources.append(toml_file(path, foreign=path == foreign))
        except InvalidSettings as problem:
            tell(problem)
    sources += environment(environ, folder)
    sources.append(command_line(cli, folder))

    values: dict[str, Any] = {}
    origins = dict.fromkeys(catalogue(), "default")
    for source in sources:
        for key, value in _flat(source, tell):
            try:
                if key in catalogue():
                    values[key] = checked(source, catalogue()[key], value)
                    origins[key] = source.label(key)
                    continue
                section, name = key.split(".", 1)
                setting = others()[section]
                taken = values.setdefault(setting.key, {})
                spelt = next((known for known in taken if known.lower() == name.lower()), name)
                taken[spelt] = model_named(source, key, value)
                origins[setting.key] = origins[f"{section}.{spelt}"] = source.label(key)
            except InvalidSettings as problem:
                tell(problem)
    settings = msgspec.convert(_nested(values), Settings, str_keys=True)
    return Loaded(settings=settings, sources=origins, files=tuple(found), own=usual[0])


def check(config: Path | None = None, **where: Any) -> tuple[Loaded, list[InvalidSettings]]:
    """The settings as far as they can be used, and everything that is wrong with them. Arguments as above."""
    problems: list[InvalidSettings] = []
    return load_with_sources(config, **where, report=problems.append), problems


def files(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    own: Path | None = None,
) -> tuple[Path, ...]:
    """The files that `load` looks at, weakest first, whether they exist or not. The first is the user's own."""
    if config is not None:
        return (Path(os.path.expanduser(config)).absolute(),)
    return (own or paths.resolve(environ).config_file, (cwd or Path.cwd()) / LOCAL_FILE)


def _raise(problem: InvalidSettings) -> None:
    raise problem


def _flat(source: Source, tell: Report) -> Iterator[tuple[str, Any]]:
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
                tell(problems.not_a_table(source, key, value))
                continue
            waiting += [(f"{key}.{name}", inner) for name, inner in reversed(list(value.items()))]
        else:
            tell(problems.unknown(source, key))


def checked(source: Source, setting: Setting, value: Any) -> Any:
    """`value` of `source` as the setting's own type. Raises InvalidSettings."""
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

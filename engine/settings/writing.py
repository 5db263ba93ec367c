"""Changes single settings in a settings file: `hearth config set`, `hearth config unset` and the settings screen.

What is written is checked first as if it stood in the file already. The file is replaced at once, and only if nobody
else has changed it meanwhile; where it is a link, what it leads to is replaced.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import paths
from engine.errors import InvalidSettings, StorageFailed
from engine.settings import document, problems
from engine.settings.catalogue import Setting, catalogue, others, tables
from engine.settings.layers import checked
from engine.settings.model_names import model_named
from engine.settings.source import Source, command_line

TRIES = 3
"""How often an edit is made anew on a file that others are writing."""


def parsed(key: str, text: str, folder: Path) -> Any:
    """What `text`, as a person types it, gives for the setting `key`; paths are meant relative to `folder`.

    Raises InvalidSettings for an unknown key and for a value that does not suit.
    """
    source = command_line({key: text}, folder)
    if _is_name(key):
        return model_named(source, key, text)
    return checked(source, _setting(source, key), text)


def set_value(file: Path, key: str, text: str, *, folder: Path | None = None) -> Any:
    """Write `text` as the value of `key` into `file`, which may not exist yet; the value as it will be read.

    Raises InvalidSettings as `parsed`, and for a file that is no TOML; StorageFailed if it cannot be written.
    """
    folder = Path.cwd() if folder is None else folder
    value = parsed(key, text, folder)
    if _is_name(key):
        written = text.strip() if text.strip().startswith("~") else value
        _edit(file, key, lambda present: document.put(present, _place_of(present, key), written))
        return value
    written = _as_written(catalogue()[key], text, value)
    _edit(file, key, lambda present: document.put(present, key, written))
    return value


def unset(file: Path, key: str) -> bool:
    """Take `key` out of `file`; False if it did not stand there. Raises InvalidSettings and StorageFailed."""
    if _is_name(key):
        return _edit(file, key, lambda present: document.remove(present, _place_of(present, key)))
    _setting(command_line({}, file.parent), key)
    return _edit(file, key, lambda present: document.remove(present, key))


def _is_name(key: str) -> bool:
    """Whether `key` is none of the settings, in a section whose other keys are names."""
    section, _, name = key.partition(".")
    return bool(name) and key not in catalogue() and section in others() and key not in tables()


def _place_of(text: str, key: str) -> tuple[str, ...]:
    """Where the name in `key` stands in the file: `"a.b"` may be written as a table of a table, or below `names`."""
    section, _, name = key.partition(".")
    inner = others()[section].name
    ways = [
        (section, name),
        (section, *name.split(".")),
        (section, inner, name),
        (section, inner, *name.split(".")),
    ]
    data = tomllib.loads(text)
    return next((way for way in ways if isinstance(_found(data, way), str)), ways[0])


def _found(data: Any, way: tuple[str, ...]) -> Any:
    for part in way:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _setting(source: Source, key: str) -> Setting:
    if key not in catalogue():
        raise problems.unknown(source, key)
    return catalogue()[key]


def _as_written(setting: Setting, text: str, value: Any) -> Any:
    """Durations and sizes stay as they were typed, and so do paths that begin at home."""
    text = text.strip()
    if (setting.duration or setting.size) and not text.lstrip("-").replace(".", "", 1).isdigit():
        return text
    if isinstance(value, float) and value.is_integer() and "." not in text:
        return int(value)
    if setting.path and not setting.is_list and text.startswith("~"):
        return text
    return value


def _edit(file: Path, key: str, change: Callable[[str], str]) -> bool:
    place = Path(os.path.realpath(file))
    try:
        if not place.parent.exists():
            paths.ensure(place.parent)
        for _ in range(TRIES):
            before = _read(place)
            try:
                after = change(before)
            except tomllib.TOMLDecodeError as error:
                raise InvalidSettings(
                    f"The settings file {file} is not valid TOML.",
                    f"{error}.",
                    "Correct that place first; nothing was changed.",
                ) from None
            except ValueError as error:
                raise InvalidSettings(
                    f"`{key}` cannot be changed in {file}.",
                    f"{error}",
                    "Change it there by hand; nothing was written.",
                    param=key,
                ) from None
            if after == before:
                return False
            if _replaced(place, before, after):
                return True
    except OSError as error:
        raise StorageFailed(
            f"The settings file {file} cannot be written.",
            f"{error.strerror or error}.",
            "Mend its permissions, or name another with --config.",
        ) from None
    raise StorageFailed(
        f"The settings file {file} was not written.",
        "Another program keeps changing it.",
        "Try again when that one is done.",
    )


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise InvalidSettings(
            f"The settings file {file} is not UTF-8 text.",
            f"Byte {error.start} does not fit.",
            "Save it as UTF-8.",
        ) from None


def _replaced(file: Path, before: str, after: str) -> bool:
    """Whether `file`, which said `before`, says `after` now."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as stream:
        stream.write(after.encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    fresh = Path(stream.name)
    try:
        with suppress(FileNotFoundError):
            fresh.chmod(file.stat().st_mode & 0o777)
        if _read(file) != before:
            return False
        fresh.replace(file)
        return True
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()

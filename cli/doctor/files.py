"""Settings, the files that people edit, and whether Hearth's folders can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cli.doctor.check import Check
from engine.errors import HearthError
from engine.hardware.disks import existing
from engine.paths import Paths
from engine.settings import Loaded

MOVE = "Make it writable, or set HEARTH_HOME to a folder of your own."


def settings(load: Callable[[], Loaded]) -> tuple[Check, Loaded | None]:
    """Whether the settings can be read, and what was."""
    try:
        loaded = load()
    except HearthError as error:
        return Check("settings", "broken", f"{error.what} {error.why}".strip(), error.fix), None
    files = ", ".join(str(file) for file in loaded.files) or "no file; the defaults hold"
    return Check("settings", "ok", files), loaded


def aliases(paths: Paths) -> list[Check]:
    """The registry of aliases: readable, and every entry of it sound."""
    from engine.library.aliases import Aliases

    file = paths.aliases_file
    try:
        found = Aliases(file).all()
    except HearthError as error:
        return [Check("aliases", "broken", f"{error.what} {error.why}".strip(), error.fix)]
    broken = [each for each in found if each.broken]
    if broken:
        return [
            Check(
                "aliases",
                "broken",
                f"{each.name}: {each.broken}",
                f"Mend it in {file}; the others go on working.",
            )
            for each in broken
        ]
    return [Check("aliases", "ok", f"{len(found)} in {file}" if file.exists() else "none yet")]


def folders(paths: Paths) -> list[Check]:
    """Those that Hearth writes to."""
    wanted = {"config": paths.config, "state": paths.state, "data": paths.data, "cache": paths.cache}
    found = [folder(name, place) for name, place in wanted.items()]
    if paths.metrics_file.exists() and not os.access(paths.metrics_file, os.R_OK | os.W_OK):
        found.append(Check("metrics", "broken", f"{paths.metrics_file} cannot be written", MOVE))
    return found


def folder(name: str, place: Path) -> Check:
    """Whether something can be written to `place`, or it could be made; nothing is left there."""
    here = existing(place)
    name = f"{name} folder"
    if place.exists() and not place.is_dir():
        return Check(name, "broken", f"{place} is no folder", f"Move it away. {MOVE}")
    if here != place:
        if os.access(here, os.W_OK | os.X_OK):
            return Check(name, "ok", f"{place}, made when needed")
        return Check(name, "broken", f"{place} cannot be made in {here}", MOVE)
    try:
        with tempfile.TemporaryFile(dir=place) as trial:
            trial.write(b"x")
            trial.flush()
    except OSError as error:
        return Check(name, "broken", f"{place} cannot be written: {error.strerror or error}", MOVE)
    return Check(name, "ok", str(place))

"""What the last set-up put into `.venv`, and whether that is still what is wanted.

The stamp is a JSON file in `.venv`. It is compared with the project's declared dependencies, the pinned
versions, the interpreter and what the caller says about llama.cpp; the rest of pyproject.toml may change
freely. CMAKE_ARGS that are not set leave an earlier build alone: a shell without them must not undo it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

LEVELS = ("base", "dev")
"""Levels of a set-up; a later one holds all of an earlier one."""


@dataclass(frozen=True)
class Stamp:
    """A finished set-up. `digest` stands for all dependencies, the other three for the llama.cpp build."""

    level: str
    digest: str
    llama_version: str
    cmake_args: str
    user_arguments: str

    def covers(self, level: str) -> bool:
        """Whether what this level installs is there."""
        return LEVELS.index(self.level) >= LEVELS.index(level)


def read_stamp(path: Path) -> Stamp | None:
    """The stamp at `path`, or None when there is none that this version understands."""
    try:
        stamp = Stamp(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return stamp if stamp.level in LEVELS else None


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Store the stamp whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(stamp), indent=2) + "\n")
    temporary.replace(path)


def dependency_digest(root: Path) -> str:
    """A digest of everything that decides which packages are installed, and of the interpreter."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = {
        name: pyproject["project"].get(name) for name in ("dependencies", "optional-dependencies", "scripts")
    }
    said = json.dumps([wanted, pyproject["build-system"], list(sys.version_info[:2])], sort_keys=True)
    return hashlib.sha256(said.encode() + (root / "constraints.txt").read_bytes()).hexdigest()


def pinned_version(root: Path, package: str) -> str:
    """The version of `package` in constraints.txt; names match whatever their case and separators.

    Raises `KeyError` when it is not pinned.
    """
    for line in (root / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if name.lower().replace("_", "-") == package:
            return version.strip()
    raise KeyError(package)


def needs_llama_build(
    stamp: Stamp | None, version: str, user_arguments: str, library_path: str | None
) -> bool:
    """Whether llama-cpp-python must be built (anew) for what the caller asks."""
    if stamp is None or stamp.llama_version != version:
        return True
    if user_arguments and user_arguments != stamp.user_arguments:
        return True
    built_without_library = "-DLLAMA_BUILD=OFF" in stamp.cmake_args
    return built_without_library and not library_path


def highest_level(stamp: Stamp, level: str, earlier: Stamp | None) -> Stamp:
    """`stamp` for `level`, or for the earlier set-up's level where that was higher: nothing is taken away."""
    if earlier and earlier.covers(level):
        level = earlier.level
    return replace(stamp, level=level)

"""What the machine itself must bring (a compiler, the venv module), and how to say that it is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Mapping


class Missing(Exception):
    """Something the set-up cannot install by itself: what, why it is needed, and the remedy."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix


def require_venv_module() -> None:
    """Raises `Missing` when this Python cannot make a virtual environment with pip in it."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise Missing(
        f"The Python at {sys.executable} has no venv or ensurepip module.",
        "Hearth is installed into .venv, apart from the system's packages.",
        f"(Debian, Ubuntu) sudo apt install python{version}-venv; elsewhere take a complete Python: "
        "(Fedora) sudo dnf install python3, (macOS) brew install python@3.12.",
    )


def require_compiler(environ: Mapping[str, str]) -> None:
    """Raises `Missing` when there is no C or no C++ compiler to build llama.cpp with."""
    c = (environ.get("CC"), "cc", "gcc", "clang")
    cxx = (environ.get("CXX"), "c++", "g++", "clang++")
    if _any_found(c) and _any_found(cxx):
        return
    raise Missing(
        "No C and C++ compiler is here.",
        "llama.cpp, which runs GGUF models, is compiled for this machine once.",
        "(Debian, Ubuntu) sudo apt install build-essential, (Fedora) sudo dnf install gcc-c++ make, "
        "(macOS) xcode-select --install. A compiler elsewhere is named by CC and CXX.",
    )


def _any_found(commands: tuple[str | None, ...]) -> bool:
    return any(command and shutil.which(command.split()[0]) for command in commands)


def runnable_extras() -> list[str]:
    """The extras beside `dev` that have packages for this platform.

    torch: Linux on x86-64 and Arm, macOS on Apple Silicon. mlx: Apple Silicon, and on Linux its CPU build,
    which needs glibc 2.35.
    """
    system, machine = platform.system(), platform.machine()
    apple = system == "Darwin" and machine == "arm64"
    linux = system == "Linux" and machine in ("x86_64", "aarch64")
    extras = []
    if apple or (linux and glibc_version() >= (2, 35)):
        extras.append("mlx")
    if apple or linux:
        extras.append("transformers")
    return extras


def glibc_version() -> tuple[int, ...]:
    """The version of glibc, (0,) where the C library is another."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return (0,)
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else (0,)

"""Python, and the libraries that run models: there, which version, and whether llama.cpp loads and can use a GPU."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata

from cli.doctor.check import Check
from engine.extras import way_to

PATIENCE = 60.0
"""Seconds that loading llama.cpp may take: a first look at a GPU is slow."""
_LOOK = "import json, llama_cpp as it\nprint(json.dumps({'gpu': bool(it.llama_supports_gpu_offload())}))"
SETUP = "Run `make setup` again in Hearth's checkout."
EXTRAS = {
    "transformers": ("transformers", "torch", "peft"),
    "mlx": ("mlx-lm", "mlx"),
}


def python() -> Check:
    """The interpreter."""
    said = f"{platform.python_version()} at {sys.executable}"
    if sys.maxsize < 2**32:
        return Check(
            "python", "broken", f"{said}, of 32 bits", "Install a Python of 64 bits: models are larger."
        )
    return Check("python", "ok", said)


def llama(gpus: int) -> Check:
    """llama.cpp, tried in a process of its own: a build for another machine dies on loading. `gpus` are here."""
    version = _version("llama-cpp-python")
    if version is None:
        return Check("llama.cpp", "broken", "llama-cpp-python is not installed.", SETUP)
    try:
        done = subprocess.run(
            (sys.executable, "-P", "-c", _LOOK),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("llama.cpp", "broken", f"{version} does not load: {error}", "Run `make setup FRESH=1`.")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.returncode}"
        return Check("llama.cpp", "broken", f"{version} does not load: {why}", "Run `make setup FRESH=1`.")
    try:
        uses_gpu = json.loads(done.stdout.splitlines()[-1])["gpu"]
    except (ValueError, IndexError, KeyError):
        uses_gpu = False
    if gpus and not uses_gpu:
        fix = "Install what its build needs (`make setup` names it), then run `make setup FRESH=1`."
        return Check("llama.cpp", "note", f"{version}, built for the CPU alone, though a GPU is here", fix)
    return Check("llama.cpp", "ok", version + (", can use GPUs" if uses_gpu else ", on the CPU"))


def extras() -> list[Check]:
    """transformers and MLX, which Hearth can do without."""
    found = []
    for name, packages in EXTRAS.items():
        fix = way_to(name)
        versions = {package: _version(package) for package in packages}
        missing = [package for package, version in versions.items() if version is None]
        if len(missing) == len(packages):
            found.append(Check(name, "note", "not installed; it runs folders of safetensors", fix))
        elif missing:
            found.append(Check(name, "broken", f"{', '.join(missing)} is missing beside the rest", fix))
        else:
            found.append(
                Check(name, "ok", ", ".join(f"{package} {version}" for package, version in versions.items()))
            )
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

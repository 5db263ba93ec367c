"""Which llama.cpp build this machine should get: readings of the machine in, a build plan out.

`read_machine` looks; `plan_build` decides and is pure, so that machines nobody owns here can be tested from
recorded readings. Nothing here runs a program: a set-up check that changes nothing must stay quick.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHOOSES_DEVICE = re.compile(
    r"-DGGML_(CUDA|METAL|VULKAN|HIP|SYCL|MUSA|CANN|OPENCL|RPC|BLAS)(:BOOL)?=", re.IGNORECASE
)
"""A CMake argument by which the user has chosen the device; ours then stay out of the way."""

FOR_VULKAN = (
    "for Vulkan install glslc libvulkan-dev spirv-headers (Debian, Ubuntu) "
    "or glslc vulkan-headers vulkan-loader-devel spirv-headers-devel (Fedora)"
)
AGAIN = "then run make setup FRESH=1"

PCI_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}


@dataclass(frozen=True)
class Readings:
    """What was seen of a machine; every path is absent when the thing is."""

    system: str
    machine: str
    gpus: tuple[str, ...] = ()
    """Vendors of the GPUs that the kernel shows, of `PCI_VENDORS`' names."""
    nvcc: str | None = None
    glslc: str | None = None
    vulkan_headers: bool = False
    spirv_headers: bool = False
    user_arguments: str = ""
    """The caller's own CMAKE_ARGS."""
    library_path: str | None = None
    """LLAMA_CPP_LIB_PATH: a folder with libllama that takes the place of a build."""


@dataclass(frozen=True)
class DeviceWarning:
    """A device that the build will leave unused: what is the matter, and what to do about it."""

    what: str
    fix: str


@dataclass(frozen=True)
class BuildPlan:
    """The build to make: its device (cuda, metal, vulkan, cpu, library, or chosen by the user)."""

    device: str
    arguments: tuple[str, ...]
    """CMake arguments in order; where two disagree, CMake takes the later."""
    warnings: tuple[DeviceWarning, ...] = ()

    @property
    def cmake_args(self) -> str:
        """The arguments as the environment variable CMAKE_ARGS holds them."""
        return shlex.join(self.arguments)


def plan_build(readings: Readings) -> BuildPlan:
    """The fastest build that this machine can use.

    The user's own arguments come last and win. A GPU for which something is missing costs a warning, never
    the build.
    """
    user = tuple(shlex.split(readings.user_arguments))
    if readings.library_path:
        return BuildPlan("library", ("-DLLAMA_BUILD=OFF", *user))
    if any(CHOOSES_DEVICE.match(argument) for argument in user):
        return BuildPlan("chosen", user)
    if readings.system == "Darwin":
        return _plan_mac(readings, user)

    if "NVIDIA" in readings.gpus and readings.nvcc:
        return BuildPlan("cuda", ("-DGGML_CUDA=ON", f"-DCMAKE_CUDA_COMPILER={readings.nvcc}", *user))
    missing = _missing_for_vulkan(readings)
    if readings.gpus and not missing:
        return BuildPlan("vulkan", ("-DGGML_VULKAN=ON", *user))
    return BuildPlan("cpu", user, tuple(_unused(vendor, missing) for vendor in readings.gpus))


def _plan_mac(readings: Readings, user: tuple[str, ...]) -> BuildPlan:
    if readings.machine == "arm64":
        return BuildPlan("metal", ("-DGGML_METAL=ON", *user))
    what = "This Python is built for Intel Macs"
    fix = "On Apple Silicon install an arm64 Python (brew install python@3.12) and run make clean setup"
    return BuildPlan("cpu", user, (DeviceWarning(f"{what}, so Metal stays unused.", f"{fix}."),))


def _missing_for_vulkan(readings: Readings) -> list[str]:
    needs = {
        "glslc": bool(readings.glslc),
        "the Vulkan headers": readings.vulkan_headers,
        "the SPIR-V headers": readings.spirv_headers,
    }
    return [name for name, there in needs.items() if not there]


def _unused(vendor: str, missing_for_vulkan: list[str]) -> DeviceWarning:
    lacking = " and ".join(missing_for_vulkan)
    if vendor == "NVIDIA":
        return DeviceWarning(
            f"An NVIDIA GPU is here, but nvcc, the CUDA compiler, is not (nor, for Vulkan, {lacking}).",
            f"Install the CUDA toolkit and put nvcc on PATH, or {FOR_VULKAN}; {AGAIN}.",
        )
    return DeviceWarning(
        f"A GPU by {vendor} is here, but {lacking} for a Vulkan build is missing.",
        f"{FOR_VULKAN[0].upper()}{FOR_VULKAN[1:]}; {AGAIN}.",
    )


def read_machine(environ: Mapping[str, str]) -> Readings:
    """What `plan_build` needs to know of the machine that this runs on."""
    return Readings(
        system=platform.system(),
        machine=platform.machine(),
        gpus=_visible_gpus(),
        nvcc=_find_nvcc(environ),
        glslc=shutil.which("glslc"),
        vulkan_headers=_has_header("vulkan/vulkan.h", environ),
        spirv_headers=_has_header("spirv/unified1/spirv.hpp", environ),
        user_arguments=environ.get("CMAKE_ARGS", ""),
        library_path=environ.get("LLAMA_CPP_LIB_PATH") or None,
    )


def _visible_gpus() -> tuple[str, ...]:
    """GPUs with a render node, and NVIDIA's, whose driver need not make one (containers, WSL)."""
    found = []
    for vendor_file in sorted(Path("/sys/class/drm").glob("renderD*/device/vendor")):
        try:
            vendor = PCI_VENDORS.get(vendor_file.read_text().strip())
        except OSError:
            continue
        if vendor and vendor not in found:
            found.append(vendor)
    nvidia = Path("/proc/driver/nvidia/version").exists() or Path("/usr/lib/wsl/lib/libcuda.so.1").exists()
    if nvidia and "NVIDIA" not in found:
        found.insert(0, "NVIDIA")
    return tuple(found)


def _find_nvcc(environ: Mapping[str, str]) -> str | None:
    for root in (environ.get("CUDA_HOME"), environ.get("CUDA_PATH"), None, "/usr/local/cuda"):
        path = shutil.which("nvcc") if root is None else shutil.which("nvcc", path=os.path.join(root, "bin"))
        if path:
            return path
    return None


def _has_header(name: str, environ: Mapping[str, str]) -> bool:
    roots = [Path("/usr/include"), Path("/usr/local/include")]
    if sdk := environ.get("VULKAN_SDK"):
        roots.insert(0, Path(sdk) / "include")
    return any((root / name).exists() for root in roots)

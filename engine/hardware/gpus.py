"""Which sources of GPU readings there are on this machine, and what is missing for others that would be."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.extras import way_to
from engine.types.hardware import GpuReading, SourceNote

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """A source has no GPU to read, or its driver does not answer."""


class GpuSource(Protocol):
    """Reads the GPUs of one vendor; for one thread."""

    def read(self) -> tuple[GpuReading, ...]:
        """All of them now."""
        ...

    def rest(self) -> None:
        """Nobody looks for a while: let go of what costs while it runs."""
        ...

    def close(self) -> None: ...


def find_sources(root: Path = Path("/")) -> tuple[list[GpuSource], list[SourceNote]]:
    """The sources that answer, and notes on those that would if something were installed."""
    sources: list[GpuSource] = []
    notes: list[SourceNote] = []
    if sys.platform == "darwin":
        from engine.hardware.apple import AppleGpu

        sources.append(AppleGpu(shutil.which("macmon")))
        if shutil.which("macmon") is None:
            notes.append(
                SourceNote(
                    source="macmon",
                    what="GPU use, temperatures and power are not read.",
                    fix="Install macmon: brew install macmon",
                )
            )
        return sources, notes
    if (root / "dev/nvidiactl").exists() or (root / "dev/dxg").exists():
        _nvidia(sources, notes)
    if (root / "sys/module/amdgpu").exists():
        _amd(sources, notes, root)
    return sources, notes


class Gpus:
    """Those of all vendors together, found at the first look. For one thread at a time."""

    def __init__(self, sources: Sequence[GpuSource] | None = None, root: Path = Path("/")) -> None:
        self.sources = sources
        self.notes: Sequence[SourceNote] = ()
        self._root = root

    def read(self) -> tuple[GpuReading, ...]:
        """All of them now; a source that fails costs only its own."""
        if self.sources is None:
            self.sources, self.notes = find_sources(self._root)
        found: list[GpuReading] = []
        for source in self.sources:
            try:
                found += source.read()
            except Exception as error:
                # Drivers go away under us: an update, a card that fell off the bus.
                log.warning("A GPU could not be read: %s: %s", type(error).__name__, error)
        return tuple(found)

    def rest(self) -> None:
        """Nobody looks for a while."""
        for source in self.sources or ():
            source.rest()

    def close(self) -> None:
        """Let go of drivers and programs."""
        for source in self.sources or ():
            source.close()
        self.sources = ()


def _nvidia(sources: list[GpuSource], notes: list[SourceNote]) -> None:
    from engine.hardware.nvidia import NvidiaGpus

    try:
        sources.append(NvidiaGpus.found())
    except ImportError:
        notes.append(
            SourceNote(
                source="nvidia-ml-py",
                what="An NVIDIA GPU is here and is not read.",
                fix=way_to("nvidia"),
            )
        )
    except Unreadable as error:
        notes.append(
            SourceNote(
                source="nvidia-ml-py",
                what=f"NVIDIA's driver does not answer: {error}",
                fix="Look whether nvidia-smi works; after an update of the driver restart the machine.",
            )
        )


def _amd(sources: list[GpuSource], notes: list[SourceNote], root: Path) -> None:
    from engine.hardware.amd import AmdGpus
    from engine.hardware.amdgpu import KernelGpus

    try:
        sources.append(AmdGpus.found())
    except Exception as error:
        # amdsmi runs code of ROCm when it is imported; whatever that raises, the kernel tells enough.
        log.debug("amdsmi is not used: %s", error)
        if not (kernel := KernelGpus(root)).read():
            notes.append(
                SourceNote(
                    source="amdsmi",
                    what="An AMD GPU is here and tells nothing of itself.",
                    fix="Install ROCm's amdsmi, or a kernel whose amdgpu driver fills /sys/class/drm.",
                )
            )
        else:
            sources.append(kernel)

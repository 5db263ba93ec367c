"""`Machine`: all sources of readings as one. For one thread, since counters are read from look to look."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.hardware.disks import read_disks
from engine.hardware.gpus import Gpus, GpuSource
from engine.hardware.main_memory import read_memory
from engine.hardware.processors import STALE, Processors, Seldom
from engine.hardware.residents import Residents, TokenCounts
from engine.types import LoadedModel
from engine.types.hardware import DiskReading, Hardware

Counted = Callable[[], tuple[Sequence[LoadedModel], Mapping[str, TokenCounts]]]
"""The models of the engine, and how many tokens each has decoded and prefilled since it began."""


class Machine:
    """`folders` are those whose filesystems are told of; `models` asks the engine. Making one looks at nothing."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        models: Counted = lambda: ((), {}),
        *,
        root: Path = Path("/"),
        sources: Sequence[GpuSource] | None = None,
    ) -> None:
        self._folders, self._models, self._root = folders, models, root
        self._gpus = Gpus(sources, root)
        self._processors: Processors | None = None
        self._residents = Residents()
        self._disks: Seldom[tuple[DiskReading, ...]] = Seldom(lambda: read_disks(folders))

    def read(self, *, over: float = STALE) -> Hardware:
        """Everything now. Cores and rates are means since the last look, or over a tenth of a second from now where
        that is more than `over` seconds ago; the first looks take longer, since libraries are loaded then."""
        if self._processors is None:
            self._processors = Processors(self._root)
        gpus = self._gpus.read()
        cpu = self._processors.read(over=over)
        power = None
        for source in self._gpus.sources or ():
            if (figures := getattr(source, "figures", None)) is not None:
                cpu = replace(cpu, temperature=figures.cpu_temperature, power=figures.cpu_power)
                power = figures.system_power
        loaded, counts = self._models()
        return Hardware(
            t_unix=time.time(),
            system=_system(),
            cpu=cpu,
            memory=read_memory(self._root),
            disks=self._disks() or (),
            gpus=gpus,
            models=self._residents.read(loaded, counts, gpus),
            power=power,
            notes=tuple(self._gpus.notes),
        )

    def rest(self) -> None:
        """Nobody looks for a while."""
        self._gpus.rest()

    def close(self) -> None:
        """Let go of drivers and programs."""
        self._gpus.close()


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]} {platform.machine()}"
    return f"{platform.system()} {platform.release()} {platform.machine()}"

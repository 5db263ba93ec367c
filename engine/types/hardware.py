"""What the machine does now and did lately: processors, memory, disks, GPUs, and the models that live on them.

Shares are between 0 and 1, sizes bytes, temperatures °C, power watts, clocks MHz. None is what nobody can read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from engine.types.models import LoadedModel

Vendor = Literal["nvidia", "amd", "apple"]


class CpuReading(Struct, frozen=True, kw_only=True):
    """The processors of the machine."""

    name: str = ""
    cores: tuple[float, ...] = ()
    """Share of the time that each logical core was busy since the reading before."""
    load: tuple[float, float, float] | None = None
    """Load averages over 1, 5 and 15 minutes."""
    limit: float | None = None
    """How many cores' worth of time control groups and affinity leave to this process; None: all."""
    clock: float | None = None
    temperature: float | None = None
    power: float | None = None

    @property
    def busy(self) -> float:
        """The mean of the cores."""
        return sum(self.cores) / len(self.cores) if self.cores else 0.0


class MemoryReading(Struct, frozen=True, kw_only=True):
    """Main memory within the limits of control groups, and swap."""

    total: int = 0
    available: int = 0
    """What could be had now without harming others."""
    limit: int | None = None
    """The control group's limit where it is below what the machine has."""
    swap_total: int = 0
    swap_used: int = 0

    @property
    def used(self) -> int:
        return max(0, self.total - self.available)


class DiskReading(Struct, frozen=True, kw_only=True):
    """A filesystem that Hearth keeps something on."""

    path: str
    """The first of Hearth's folders on it."""
    holds: tuple[str, ...] = ()
    """What of Hearth lies there: models, cache, state."""
    total: int = 0
    free: int = 0


class GpuReading(Struct, frozen=True, kw_only=True):
    """One GPU, as its driver tells of it."""

    index: int
    """By the driver's own count, within its vendor."""
    vendor: Vendor
    name: str = ""
    id: str = ""
    """The driver's name for this very device (UUID or PCI address)."""
    busy: float | None = None
    memory_total: int | None = None
    """Its own memory; of an integrated one the most that it may take of main memory."""
    memory_used: int | None = None
    unified: bool = False
    """Whether it shares main memory."""
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    clock: float | None = None
    clock_most: float | None = None
    memory_clock: float | None = None
    processes: Mapping[int, int] = field(default_factory=dict)
    """Bytes of its memory by process id, where the driver tells."""

    @property
    def device(self) -> str:
        """Vendor and index, as its points are kept: `nvidia0`."""
        return f"{self.vendor}{self.index}"


class ModelReading(Struct, frozen=True, kw_only=True):
    """A model in memory, and what it does now."""

    model: LoadedModel
    resident: int = 0
    """Resident set of its process now."""
    gpu_memory: int = 0
    """What its process has on GPUs now, by their drivers."""
    cpu: float = 0.0
    """Cores that its process keeps busy."""
    decode_rate: float = 0.0
    """Tokens per second that it sampled since the reading before, all requests together."""
    prefill_rate: float = 0.0
    """Prompt tokens per second that it computed."""
    leaves_s: float | None = None
    """Seconds until its keep-alive is over; None: it stays, or is at work."""


class SourceNote(Struct, frozen=True, kw_only=True):
    """Readings that could be had and are not: what is missing, and what to do about it."""

    source: str
    what: str
    fix: str


class GpuPoint(Struct, frozen=True, kw_only=True):
    """What is kept of a GPU."""

    device: str
    """Vendor and index: `nvidia0`."""
    name: str = ""
    busy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None


class HardwarePoint(Struct, frozen=True, kw_only=True):
    """What is kept of a reading: of the last minutes one a second, before that one each half minute."""

    t_unix: float
    cpu: float = 0.0
    load: float | None = None
    temperature: float | None = None
    power: float | None = None
    memory_used: int = 0
    memory_total: int = 0
    swap_used: int = 0
    models: int = 0
    """How many were in memory."""
    resident: int = 0
    """Resident set of their processes."""
    decode_rate: float = 0.0
    prefill_rate: float = 0.0
    gpus: tuple[GpuPoint, ...] = ()


class Hardware(Struct, frozen=True, kw_only=True):
    """One reading of the whole machine. `t_unix` is in seconds."""

    t_unix: float
    system: str = ""
    cpu: CpuReading = field(default_factory=CpuReading)
    memory: MemoryReading = field(default_factory=MemoryReading)
    disks: tuple[DiskReading, ...] = ()
    gpus: tuple[GpuReading, ...] = ()
    models: tuple[ModelReading, ...] = ()
    power: float | None = None
    """Of the whole machine, where it can be read."""
    notes: tuple[SourceNote, ...] = ()

    @property
    def decode_rate(self) -> float:
        return sum(model.decode_rate for model in self.models)

    @property
    def prefill_rate(self) -> float:
        return sum(model.prefill_rate for model in self.models)

    @property
    def point(self) -> HardwarePoint:
        """The figures of it that are worth keeping."""
        return HardwarePoint(
            t_unix=self.t_unix,
            cpu=self.cpu.busy,
            load=self.cpu.load[0] if self.cpu.load is not None else None,
            temperature=self.cpu.temperature,
            power=self.power if self.power is not None else self.cpu.power,
            memory_used=self.memory.used,
            memory_total=self.memory.total,
            swap_used=self.memory.swap_used,
            models=len(self.models),
            resident=sum(model.resident for model in self.models),
            decode_rate=self.decode_rate,
            prefill_rate=self.prefill_rate,
            gpus=tuple(
                GpuPoint(
                    device=gpu.device,
                    name=gpu.name,
                    busy=gpu.busy,
                    memory_used=gpu.memory_used,
                    memory_total=gpu.memory_total,
                    temperature=gpu.temperature,
                    power=gpu.power,
                )
                for gpu in self.gpus
            ),
        )

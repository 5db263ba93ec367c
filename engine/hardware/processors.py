"""The processors: how busy each core is, load, clock, temperature and power, by psutil and Linux's own files."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from engine.hardware.control_groups import cpu_limit
from engine.types.hardware import CpuReading

SHORTEST: Final = 0.1
"""Seconds over which cores are watched where nobody has looked lately."""
STALE: Final = 5.0
"""Counters older than this say nothing of now."""
SELDOM: Final = 10.0
"""Seconds between readings that cost milliseconds on machines with many cores or sensors."""
_SENSORS: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")
"""Names under which Linux and FreeBSD give the temperature of processors, the best first."""
_PACKAGE: Final = ("package", "tctl", "tdie", "cpu")

_T = TypeVar("_T")


class Seldom(Generic[_T]):
    """What `read` gives, asked again only after `seconds`."""

    def __init__(self, read: Callable[[], _T], seconds: float = SELDOM) -> None:
        self._read, self._seconds = read, seconds
        self._known: _T | None = None
        self._until = float("-inf")

    def __call__(self) -> _T | None:
        now = time.monotonic()
        if now >= self._until:
            self._known, self._until = self._read(), now + self._seconds
        return self._known


class Processors:
    """Reads the processors. Keeps the counters of the last look, so it is for one thread."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._name = _name(root)
        self._times: list[tuple[float, float]] = []
        self._at = float("-inf")
        self._energy: tuple[float, float] | None = None
        self._limit = Seldom(self._allowed)
        self._clock = Seldom(_clock)
        self._temperature = Seldom(_temperature, 3.0)

    def read(self, *, over: float = STALE) -> CpuReading:
        """The processors since the last look, if that is no more than `over` seconds ago; else over a tenth of one."""
        if time.monotonic() - self._at > over:
            self._busy_times()
            self._power()
            time.sleep(SHORTEST)
        cores = self._busy_times()
        load = None
        with contextlib.suppress(OSError, AttributeError):
            load = os.getloadavg()
        return CpuReading(
            name=self._name,
            cores=cores,
            load=load,
            limit=self._limit(),
            clock=self._clock(),
            temperature=self._temperature(),
            power=self._power(),
        )

    def _busy_times(self) -> tuple[float, ...]:
        import psutil

        before = self._times
        self._times = [_counted(times) for times in psutil.cpu_times(percpu=True)]
        self._at = time.monotonic()
        if len(before) != len(self._times):
            # The first look, or a core came or went.
            return (0.0,) * len(self._times)
        return tuple(_share(now, then) for now, then in zip(self._times, before, strict=True))

    def _allowed(self) -> float | None:
        """Cores that this process may use, where that is fewer than there are."""
        every = os.cpu_count() or 1
        limit = cpu_limit(self._root)
        allowed = float(every) if limit is None else limit
        with contextlib.suppress(AttributeError, OSError):
            allowed = min(allowed, float(len(os.sched_getaffinity(0))))
        return allowed if allowed < every else None

    def _power(self) -> float | None:
        """Watts of the processor packages by their energy counters, which most systems let only root read."""
        joules, now = 0.0, time.monotonic()
        # One folder a package; what lies deeper is a part of it.
        for folder in (self._root / "sys/class/powercap").glob("intel-rapl:[0-9]*"):
            if folder.name.count(":") == 1:
                try:
                    joules += int((folder / "energy_uj").read_text()) / 1e6
                except (OSError, ValueError):
                    return None
        if not joules:
            return None
        before, self._energy = self._energy, (joules, now)
        if before is None or joules < before[0] or now <= before[1]:
            # The counters begin anew from time to time.
            return None
        return (joules - before[0]) / (now - before[1])


def _counted(times: Any) -> tuple[float, float]:
    """(busy, all) seconds of one core. Waiting for a disk is idle; guests are counted in user time already."""
    idle = times.idle + getattr(times, "iowait", 0.0)
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return whole - idle, whole


def _share(now: tuple[float, float], then: tuple[float, float]) -> float:
    whole = now[1] - then[1]
    return min(1.0, max(0.0, (now[0] - then[0]) / whole)) if whole > 0 else 0.0


def _clock() -> float | None:
    import psutil

    try:
        found = psutil.cpu_freq()
    except (OSError, RuntimeError, NotImplementedError, AttributeError):
        return None
    return float(found.current) if found is not None and found.current else None


def _temperature() -> float | None:
    import psutil

    try:
        found = psutil.sensors_temperatures()
    except (OSError, RuntimeError, AttributeError):
        # macOS and Windows have none.
        return None
    return hottest(found)


def hottest(sensors: dict[str, list[Any]]) -> float | None:
    """The temperature of the processor package among psutil's sensors, else of its hottest core."""
    for name in _SENSORS:
        if found := [each for each in sensors.get(name, ()) if each.current and each.current > 0]:
            package = [each for each in found if (each.label or "").lower().startswith(_PACKAGE)]
            return float(max(each.current for each in package or found))
    return None


def _name(root: Path) -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model") and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine()

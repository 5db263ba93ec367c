"""What is said of the machine, as plain data: a reading and its history in, cards of figures and curves out.

Shares that are worrying carry a level, which is drawn as a colour and as a mark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.text_safety import plain
from engine.types import DiskReading, GpuReading, Hardware, HardwarePoint
from tui import units

Curve = Sequence[tuple[float, float | None]]
"""Moments in Unix seconds with their values."""
WARM, HOT = 80.0, 90.0
"""°C from which a temperature is worth a look, and from which devices slow down."""
FULL, BRIM = 0.8, 0.95
"""Shares of memory and disks."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line: what, how much, and a bar of parts or a curve beside it."""

    label: str
    text: str
    parts: tuple[float, ...] = ()
    """Shares of the bar, the first of them Hearth's own where there are several."""
    curve: Curve = ()
    top: float = 1.0
    level: str = ""
    """`warn`, `error` or nothing."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve with room of its own below the figures. `top` of 0: as high as the curve needs."""

    label: str
    curve: Curve
    top: float = 1.0
    unit: str = "%"


@dataclass(frozen=True, slots=True)
class Card:
    """A titled group of figures. `note` stands at its right end."""

    title: str
    note: str = ""
    cores: tuple[float, ...] = ()
    figures: tuple[Figure, ...] = ()
    remarks: tuple[str, ...] = ()
    chart: Chart | None = None


def cards(now: Hardware, history: Sequence[HardwarePoint]) -> list[Card]:
    """All cards of a reading: processors, memory and disks, a card a GPU, tokens."""
    return [
        processor(now, history),
        memory(now, history),
        *(graphics(gpu, now, history) for gpu in now.gpus),
        tokens(now, history),
    ]


def processor(now: Hardware, history: Sequence[HardwarePoint]) -> Card:
    """Cores, load, temperature, power."""
    cpu = now.cpu
    found = [Figure("busy", f"{cpu.busy:.0%}", parts=(cpu.busy,))]
    if cpu.load is not None:
        found.append(Figure("load", "  ".join(f"{value:.2f}" for value in cpu.load)))
    found += _warmth(cpu.temperature, _curve(history, lambda point: point.temperature))
    power = now.power if now.power is not None else cpu.power
    if power is not None:
        curve = _curve(history, lambda point: point.power)
        label = "machine" if now.power is not None else "power"
        found.append(Figure(label, _watts(power), curve=curve, top=0))
    remarks = []
    if cpu.limit is not None:
        remarks.append(f"{cpu.limit:g} of {len(cpu.cores)} cores are left to Hearth by a limit.")
    return Card(
        "Processor",
        _short_cpu(cpu.name) + (f" · {cpu.clock / 1000:.1f} GHz" if cpu.clock else ""),
        cores=cpu.cores,
        figures=tuple(found),
        remarks=tuple(remarks),
        chart=Chart("busy", _curve(history, lambda point: point.cpu)),
    )


def memory(now: Hardware, history: Sequence[HardwarePoint]) -> Card:
    """Main memory, of it what models take, swap, and disks."""
    reading = now.memory
    models = sum(model.resident for model in now.models)
    total = max(1, reading.total)
    figures = [
        Figure(
            "used",
            f"{_gib(reading.used)} of {units.size(reading.total)}",
            parts=(min(models, reading.used) / total, max(0, reading.used - models) / total),
            level=level(reading.used / total, FULL, BRIM),
        ),
    ]
    if reading.swap_total:
        share = reading.swap_used / reading.swap_total
        figures.append(
            Figure(
                "swap",
                f"{_gib(reading.swap_used)} of {units.size(reading.swap_total)}",
                parts=(0.0, share),
                level=level(share, 0.25, FULL),
            )
        )
    return Card(
        "Memory",
        f"models {units.size(models)}" if models else "",
        figures=(*figures, *_disks(now.disks)),
        remarks=("A control group limits it.",) if reading.limit is not None else (),
        chart=Chart(
            "used",
            _curve(
                history, lambda point: point.memory_used / point.memory_total if point.memory_total else None
            ),
        ),
    )


def graphics(gpu: GpuReading, now: Hardware, history: Sequence[HardwarePoint]) -> Card:
    """One GPU: how busy, its memory, temperature, power, clocks."""
    pids = {model.model.pid for model in now.models}

    def curve(name: str) -> Curve:
        return [
            (
                point.t_unix,
                next((getattr(each, name) for each in point.gpus if each.device == gpu.device), None),
            )
            for point in history
        ]

    found = []
    if gpu.busy is not None:
        found.append(Figure("busy", f"{gpu.busy:.0%}", parts=(gpu.busy,)))
    if gpu.memory_total and gpu.memory_used is not None:
        own = min(gpu.memory_used, sum(size for pid, size in gpu.processes.items() if pid in pids))
        share = gpu.memory_used / gpu.memory_total
        found.append(
            Figure(
                "memory",
                f"{_gib(gpu.memory_used)} of {units.size(gpu.memory_total)}",
                parts=(own / gpu.memory_total, share - own / gpu.memory_total),
                level=level(share, FULL, BRIM),
            )
        )
    elif gpu.memory_total:
        found.append(Figure("memory", f"≤ {units.size(gpu.memory_total)}"))
    found += _warmth(gpu.temperature, curve("temperature"))
    if gpu.power is not None:
        limit = f" of {gpu.power_limit:.0f}" if gpu.power_limit else ""
        text = _watts(gpu.power).removesuffix(" W") + f"{limit} W"
        found.append(Figure("power", text, curve=curve("power"), top=gpu.power_limit or 0))
    if gpu.clock is not None:
        most = f" of {gpu.clock_most / 1000:.2f}" if gpu.clock_most else ""
        found.append(Figure("clock", f"{gpu.clock / 1000:.2f}{most} GHz"))
    return Card(
        f"GPU {gpu.index}",
        plain(gpu.name, 60),
        figures=tuple(found),
        remarks=("It shares main memory.",) if gpu.unified else (),
        chart=Chart("busy", curve("busy")) if gpu.busy is not None else None,
    )


def tokens(now: Hardware, history: Sequence[HardwarePoint]) -> Card:
    """Tokens per second of all models together."""
    at_work = sum(model.model.active for model in now.models)
    waiting = sum(model.model.queued for model in now.models)
    return Card(
        "Tokens",
        f"{at_work} at work, {waiting} waiting" if at_work or waiting else "nobody asks",
        figures=(
            Figure("written", f"{rate(now.decode_rate)} tok/s"),
            Figure(
                "read",
                f"{rate(now.prefill_rate)} tok/s",
                curve=_curve(history, lambda point: point.prefill_rate),
                top=0,
            ),
        ),
        chart=Chart("written", _curve(history, lambda point: point.decode_rate), top=0, unit="tok/s"),
    )


def _disks(readings: Sequence[DiskReading]) -> list[Figure]:
    """The filesystems that Hearth's folders lie on; further ones are named by what of Hearth is there."""
    found = []
    for place, disk in enumerate(readings):
        share = 1 - disk.free / disk.total if disk.total else 0.0
        found.append(
            Figure(
                "disk" if not place else disk.holds[0],
                f"{units.size(disk.free)} free",
                parts=(0.0, share),
                level=level(share, 0.9, 0.98),
            )
        )
    return found


def level(share: float, warn: float, error: float) -> str:
    """How worrying a share is."""
    return "error" if share >= error else "warn" if share >= warn else ""


def rate(value: float) -> str:
    """Tokens per second, in few cells."""
    return f"{value:.1f}" if 0 < value < 99.5 else f"{value:,.0f}"


def _curve(history: Sequence[HardwarePoint], value: Callable[[HardwarePoint], float | None]) -> Curve:
    return [(point.t_unix, value(point)) for point in history]


def _warmth(temperature: float | None, curve: Curve) -> list[Figure]:
    if temperature is None:
        return []
    said = "error" if temperature >= HOT else "warn" if temperature >= WARM else ""
    return [Figure("temp", f"{temperature:.0f} °C", curve=curve, top=100.0, level=said)]


def _watts(value: float) -> str:
    return f"{value:.1f} W" if value < 10 else f"{value:.0f} W"


def _gib(size: int) -> str:
    """A size whose unit stands behind the total."""
    return f"{size / 2**30:.1f}"


def _short_cpu(name: str) -> str:
    """The processor's name without what every processor's has."""
    words = plain(name, 80)
    for noise in ("(R)", "(TM)", " CPU", " Processor", "(tm)"):
        words = words.replace(noise, "")
    return words.partition(" @ ")[0].strip()

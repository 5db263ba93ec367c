"""AMD's GPUs by what the kernel's amdgpu driver writes under /sys/class/drm: no library is needed.

Formats: the kernel's `gpu/amdgpu/thermal` and `driver-misc` documents: percent, bytes, millidegrees, microwatts, Hz.
"""

from __future__ import annotations

from pathlib import Path

from engine.types.hardware import GpuReading


class KernelGpus:
    """The cards under `root` that tell of their memory."""

    def __init__(self, root: Path = Path("/")) -> None:
        cards = (root / "sys/class/drm").glob("card[0-9]*/device")
        found = sorted(cards, key=lambda card: int(card.parent.name.partition("-")[0][4:]))
        self._cards = [card for card in found if _number(card / "mem_info_vram_total") is not None]

    def read(self) -> tuple[GpuReading, ...]:
        """All of them now."""
        return tuple(_read(index, card) for index, card in enumerate(self._cards))

    def rest(self) -> None:
        """Nothing of it runs by itself."""

    def close(self) -> None:
        """Nothing is held."""


def _read(index: int, card: Path) -> GpuReading:
    sensors = next(iter(sorted(card.glob("hwmon/hwmon*"))), card)
    busy = _number(card / "gpu_busy_percent")
    total, used = _number(card / "mem_info_vram_total"), _number(card / "mem_info_vram_used")
    temperature = _number(sensors / "temp1_input")
    power = _number(sensors / "power1_input") or _number(sensors / "power1_average")
    limit = _number(sensors / "power1_cap")
    clock, memory_clock = _number(sensors / "freq1_input"), _number(sensors / "freq2_input")
    return GpuReading(
        index=index,
        vendor="amd",
        name=_text(card / "product_name") or "AMD GPU",
        id=card.resolve().name,
        busy=busy / 100 if busy is not None else None,
        memory_total=total,
        memory_used=used,
        temperature=temperature / 1000 if temperature is not None else None,
        power=power / 1e6 if power is not None else None,
        power_limit=limit / 1e6 if limit else None,
        clock=clock / 1e6 if clock is not None else None,
        memory_clock=memory_clock / 1e6 if memory_clock is not None else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None

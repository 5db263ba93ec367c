"""AMD's GPUs by amdsmi, the library that comes with ROCm (and on the package index, without its native part).

What a device does not have comes as the text `N/A` or an error of the library. Memory is in MiB there, power in
watts, the power cap in microwatts, clocks in MHz.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.hardware.gpus import Unreadable
from engine.types.hardware import GpuReading

MIB = 2**20


class AmdGpus:
    """`smi` is the module amdsmi."""

    def __init__(self, smi: Any) -> None:
        self._smi = smi
        try:
            smi.amdsmi_init()
            self._devices = list(smi.amdsmi_get_processor_handles())
        except smi.AmdSmiException as error:
            raise Unreadable(str(error)) from None
        if not self._devices:
            raise Unreadable("it lists no GPU")

    @classmethod
    def found(cls) -> AmdGpus:
        """Those of this machine. Raises whatever importing amdsmi raises, and Unreadable."""
        # Without its native part amdsmi complains on standard output when it is imported, in the middle of a screen.
        roots = (os.environ.get("ROCM_PATH"), os.environ.get("ROCM_HOME"), "/opt/rocm")
        if not any(Path(root, "lib/libamd_smi.so").exists() for root in roots if root):
            raise Unreadable("libamd_smi.so is not here")
        import amdsmi

        return cls(amdsmi)

    def read(self) -> tuple[GpuReading, ...]:
        """All of them now."""
        return tuple(self._read(index, device) for index, device in enumerate(self._devices))

    def rest(self) -> None:
        """Nothing of it runs by itself."""

    def close(self) -> None:
        """Let go of the library."""
        self._asked(self._smi.amdsmi_shut_down)

    def _read(self, index: int, device: Any) -> GpuReading:
        smi = self._smi
        asic = self._asked(smi.amdsmi_get_gpu_asic_info, device) or {}
        memory = self._asked(smi.amdsmi_get_gpu_vram_usage, device) or {}
        activity = self._asked(smi.amdsmi_get_gpu_activity, device) or {}
        power = self._asked(smi.amdsmi_get_power_info, device) or {}
        cap = self._asked(smi.amdsmi_get_power_cap_info, device) or {}
        clock = self._asked(smi.amdsmi_get_clock_info, device, smi.AmdSmiClkType.GFX) or {}
        memory_clock = self._asked(smi.amdsmi_get_clock_info, device, smi.AmdSmiClkType.MEM) or {}
        total, used = _number(memory.get("vram_total")), _number(memory.get("vram_used"))
        busy = _number(activity.get("gfx_activity"))
        limit = _number(cap.get("power_cap"))
        return GpuReading(
            index=index,
            vendor="amd",
            name=str(asic.get("market_name") or ""),
            id=str(self._asked(smi.amdsmi_get_gpu_device_bdf, device) or ""),
            busy=busy / 100 if busy is not None else None,
            memory_total=int(total * MIB) if total is not None else None,
            memory_used=int(used * MIB) if used is not None else None,
            temperature=self._temperature(device),
            # Data centre devices tell the current power, others the average.
            power=_number(power.get("current_socket_power")) or _number(power.get("average_socket_power")),
            # Some releases give whole watts.
            power_limit=(limit / 1e6 if limit > 100_000 else limit) if limit else None,
            clock=_number(clock.get("clk")),
            clock_most=_number(clock.get("max_clk")),
            memory_clock=_number(memory_clock.get("clk")),
            processes=self._processes(device),
        )

    def _temperature(self, device: Any) -> float | None:
        kinds = self._smi.AmdSmiTemperatureType
        now = self._smi.AmdSmiTemperatureMetric.CURRENT
        for kind in (kinds.EDGE, kinds.HOTSPOT):
            if found := _number(self._asked(self._smi.amdsmi_get_temp_metric, device, kind, now)):
                return found
        return None

    def _processes(self, device: Any) -> dict[int, int]:
        found = self._asked(self._smi.amdsmi_get_gpu_process_list, device) or ()
        sizes = {each["pid"]: _number(each["memory_usage"]["vram_mem"]) for each in found}
        return {pid: int(size) for pid, size in sizes.items() if size}

    def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where the device has none."""
        try:
            return question(*arguments)
        except self._smi.AmdSmiException:
            return None


def _number(value: Any) -> float | None:
    """A figure; None for `N/A` and for numbers that stand for it (all bits set)."""
    if not isinstance(value, int | float) or value in (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF):
        return None
    return float(value)

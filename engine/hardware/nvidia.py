"""NVIDIA's GPUs by NVML, through nvidia-ml-py (`pynvml`), which is optional.

Every figure is asked for by itself: a driver refuses what a device does not have (power on laptops, processes in
containers), and that must not hide the rest. Units as NVML has them: bytes, percent, milliwatts, MHz, °C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.hardware.gpus import Unreadable
from engine.types.hardware import GpuReading


class NvidiaGpus:
    """`nvml` is the module pynvml, begun. Devices are looked up once: none comes or goes while a driver is loaded."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except nvml.NVMLError as error:
            raise Unreadable(str(error)) from None
        self._fixed = [self._constant(index, device) for index, device in enumerate(self._devices)]

    @classmethod
    def found(cls) -> NvidiaGpus:
        """Those of this machine. Raises ImportError without nvidia-ml-py, Unreadable where its driver is silent."""
        import pynvml

        return cls(pynvml)

    def read(self) -> tuple[GpuReading, ...]:
        """All of them now."""
        return tuple(
            self._read(device, fixed) for device, fixed in zip(self._devices, self._fixed, strict=True)
        )

    def rest(self) -> None:
        """Nothing of it runs by itself."""

    def close(self) -> None:
        """Let go of the driver."""
        self._asked(self._nvml.nvmlShutdown)

    def _constant(self, index: int, device: Any) -> GpuReading:
        nvml = self._nvml
        return GpuReading(
            index=index,
            vendor="nvidia",
            name=_text(self._asked(nvml.nvmlDeviceGetName, device)),
            id=_text(self._asked(nvml.nvmlDeviceGetUUID, device)),
            clock_most=self._asked(nvml.nvmlDeviceGetMaxClockInfo, device, nvml.NVML_CLOCK_SM),
        )

    def _read(self, device: Any, fixed: GpuReading) -> GpuReading:
        nvml = self._nvml
        memory = self._asked(nvml.nvmlDeviceGetMemoryInfo, device)
        rates = self._asked(nvml.nvmlDeviceGetUtilizationRates, device)
        power = self._asked(nvml.nvmlDeviceGetPowerUsage, device)
        limit = self._asked(nvml.nvmlDeviceGetEnforcedPowerLimit, device)
        processes = self._asked(nvml.nvmlDeviceGetComputeRunningProcesses, device) or ()
        return GpuReading(
            index=fixed.index,
            vendor="nvidia",
            name=fixed.name,
            id=fixed.id,
            clock_most=fixed.clock_most,
            busy=rates.gpu / 100 if rates is not None else None,
            memory_total=int(memory.total) if memory is not None else None,
            # What the driver keeps for itself is not free either.
            memory_used=int(memory.total - memory.free) if memory is not None else None,
            temperature=self._asked(nvml.nvmlDeviceGetTemperature, device, nvml.NVML_TEMPERATURE_GPU),
            power=power / 1000 if power is not None else None,
            power_limit=limit / 1000 if limit is not None else None,
            clock=self._asked(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_SM),
            memory_clock=self._asked(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_MEM),
            processes={each.pid: int(each.usedGpuMemory) for each in processes if each.usedGpuMemory},
        )

    def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """The answer, or None where the driver has none."""
        try:
            return question(*arguments)
        except self._nvml.NVMLError:
            return None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")

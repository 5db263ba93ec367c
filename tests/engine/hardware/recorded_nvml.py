"""A driver that answers as NVML did on a machine with two cards, one of which has no power sensor and hides processes.

Stands where the module `pynvml` does: the same names, the same kinds of answers, the same error.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

MIB = 2**20


class NVMLError(Exception):
    """As pynvml's."""


NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
NOT_SUPPORTED = NVMLError("Not Supported")

ANSWERS: list[dict[str, Any]] = [
    {
        "nvmlDeviceGetName": "NVIDIA GeForce RTX 4090",
        "nvmlDeviceGetUUID": "GPU-8f6a1d1e-4f5b-0a6e-7d3b-0c8d7e1b2a3c",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24564 * MIB, free=15012 * MIB, used=9100 * MIB),
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=61),
        "nvmlDeviceGetTemperature": 64,
        "nvmlDeviceGetPowerUsage": 312450,
        "nvmlDeviceGetEnforcedPowerLimit": 450000,
        ("nvmlDeviceGetClockInfo", NVML_CLOCK_SM): 2610,
        ("nvmlDeviceGetClockInfo", NVML_CLOCK_MEM): 10501,
        ("nvmlDeviceGetMaxClockInfo", NVML_CLOCK_SM): 3105,
        "nvmlDeviceGetComputeRunningProcesses": [
            SimpleNamespace(pid=4242, usedGpuMemory=8200 * MIB),
            SimpleNamespace(pid=77, usedGpuMemory=None),
        ],
    },
    {
        "nvmlDeviceGetName": b"NVIDIA GeForce MX450",
        "nvmlDeviceGetUUID": b"GPU-11111111-2222-3333-4444-555555555555",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=2048 * MIB, free=2044 * MIB, used=4 * MIB),
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=0),
        "nvmlDeviceGetTemperature": 41,
    },
]


def nvmlInit() -> None:
    """As the driver begins."""


def nvmlShutdown() -> None:
    """As it ends."""


def nvmlDeviceGetCount() -> int:
    return len(ANSWERS)


def nvmlDeviceGetHandleByIndex(index: int) -> dict[str, Any]:
    return ANSWERS[index]


def __getattr__(name: str) -> Any:
    if not name.startswith("nvmlDeviceGet"):
        raise AttributeError(name)

    def ask(device: dict[Any, Any], *which: int) -> Any:
        for key in (name, (name, *which)):
            if key in device:
                return device[key]
        raise NOT_SUPPORTED

    return ask

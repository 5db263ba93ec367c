"""amdsmi as it answered for a desktop card (no current socket power) and a data centre one. Stands for the module."""

from __future__ import annotations

from enum import Enum
from typing import Any


class AmdSmiException(Exception):
    """As amdsmi's."""


class AmdSmiClkType(Enum):
    GFX = 0
    MEM = 4


class AmdSmiTemperatureType(Enum):
    EDGE = 0
    HOTSPOT = 1


class AmdSmiTemperatureMetric(Enum):
    CURRENT = 0


ANSWERS: list[dict[str, Any]] = [
    {
        "amdsmi_get_gpu_asic_info": {"market_name": "Navi 31 [Radeon RX 7900 XTX]", "vendor_id": "0x1002"},
        "amdsmi_get_gpu_device_bdf": "0000:03:00.0",
        "amdsmi_get_gpu_vram_usage": {"vram_total": 24560, "vram_used": 6140},
        "amdsmi_get_gpu_activity": {"gfx_activity": 42, "umc_activity": 7, "mm_activity": "N/A"},
        "amdsmi_get_power_info": {
            "socket_power": 0,
            "current_socket_power": "N/A",
            "average_socket_power": 187,
            "power_limit": 339000000,
        },
        "amdsmi_get_power_cap_info": {"power_cap": 339000000, "dpm_cap": 2500},
        AmdSmiClkType.GFX: {"clk": 2304, "min_clk": 500, "max_clk": 2526},
        AmdSmiClkType.MEM: {"clk": 1249, "min_clk": 96, "max_clk": 1249},
        AmdSmiTemperatureType.EDGE: 58,
        "amdsmi_get_gpu_process_list": [
            {"name": "N/A", "pid": 4242, "mem": 0, "memory_usage": {"vram_mem": 5 * 2**30}},
            {"name": "idle", "pid": 9, "mem": 0, "memory_usage": {"vram_mem": 0}},
        ],
    },
    {
        "amdsmi_get_gpu_asic_info": {"market_name": "AMD Instinct MI300X"},
        "amdsmi_get_gpu_vram_usage": {"vram_total": 196592, "vram_used": 283},
        "amdsmi_get_gpu_activity": {"gfx_activity": "N/A"},
        "amdsmi_get_power_info": {"current_socket_power": 141, "average_socket_power": "N/A"},
        AmdSmiTemperatureType.HOTSPOT: 39,
    },
]


def amdsmi_init() -> None:
    """As the library begins."""


def amdsmi_shut_down() -> None:
    """As it ends."""


def amdsmi_get_processor_handles() -> list[dict[str, Any]]:
    return ANSWERS


def __getattr__(name: str) -> Any:
    if not name.startswith("amdsmi_get"):
        raise AttributeError(name)

    def ask(device: dict[Any, Any], *which: Enum) -> Any:
        key: Any = which[0] if which else name
        if key not in device:
            raise AmdSmiException("AMDSMI_STATUS_NOT_SUPPORTED")
        return device[key]

    return ask

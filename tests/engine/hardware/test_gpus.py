"""GPUs of every vendor from recorded answers of their drivers, and what is said where a library is missing."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.hardware.amd import AmdGpus
from engine.hardware.amdgpu import KernelGpus
from engine.hardware.gpus import Unreadable, find_sources
from engine.hardware.nvidia import NvidiaGpus
from engine.hardware.video_memory import refreshed
from engine.types import Device
from tests.engine.hardware import recorded_amdsmi, recorded_nvml

MIB, GIB = 2**20, 2**30


def test_nvidia_in_the_units_of_the_readings() -> None:
    card, laptop = NvidiaGpus(recorded_nvml).read()
    assert (card.index, card.vendor, card.name) == (0, "nvidia", "NVIDIA GeForce RTX 4090")
    assert card.id.startswith("GPU-8f6a1d1e")
    assert (card.busy, card.temperature, card.power, card.power_limit) == (0.87, 64, 312.45, 450.0)
    assert (card.clock, card.clock_most, card.memory_clock) == (2610, 3105, 10501)
    # What the driver keeps for itself counts as used.
    assert (card.memory_total, card.memory_used) == (24564 * MIB, 9552 * MIB)
    assert card.processes == {4242: 8200 * MIB}
    assert (laptop.name, laptop.busy, laptop.temperature) == ("NVIDIA GeForce MX450", 0.0, 41)
    assert (laptop.power, laptop.clock, laptop.processes) == (None, None, {}), "it refuses these, and no more"


def test_a_driver_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise recorded_nvml.NVMLError("Driver/library version mismatch")

    monkeypatch.setattr(recorded_nvml, "nvmlInit", refuse)
    with pytest.raises(Unreadable, match="version mismatch"):
        NvidiaGpus(recorded_nvml)


def test_amd_by_amdsmi_in_the_units_of_the_readings() -> None:
    desktop, server = AmdGpus(recorded_amdsmi).read()
    assert (desktop.name, desktop.id) == ("Navi 31 [Radeon RX 7900 XTX]", "0000:03:00.0")
    assert (desktop.busy, desktop.temperature, desktop.power, desktop.power_limit) == (0.42, 58, 187, 339.0)
    assert (desktop.memory_total, desktop.memory_used) == (24560 * MIB, 6140 * MIB)
    assert (desktop.clock, desktop.clock_most, desktop.memory_clock) == (2304, 2526, 1249)
    assert desktop.processes == {4242: 5 * GIB}
    assert (server.power, server.temperature, server.busy, server.id) == (141, 39, None, "")


def test_amd_by_the_kernels_files(tmp_path: Path) -> None:
    for name in ("card10", "card2"):
        device = tmp_path / "sys/class/drm" / name / "device"
        sensors = device / "hwmon/hwmon4"
        sensors.mkdir(parents=True)
        (device / "mem_info_vram_total").write_text(f"{16 * GIB}\n")
        (device / "mem_info_vram_used").write_text(f"{3 * GIB}\n")
        (device / "gpu_busy_percent").write_text("37\n")
        (device / "product_name").write_text(f"Radeon of {name}\n")
        (sensors / "temp1_input").write_text("51000\n")
        (sensors / "power1_average").write_text("64000000\n")
        (sensors / "power1_cap").write_text("263000000\n")
        (sensors / "freq1_input").write_text("1812000000\n")
    (tmp_path / "sys/class/drm/card0/device").mkdir(parents=True)
    (tmp_path / "sys/class/drm/card2-DP-1/device").mkdir(parents=True)
    first, second = KernelGpus(tmp_path).read()
    assert (first.name, second.name) == ("Radeon of card2", "Radeon of card10")
    assert (first.busy, first.temperature, first.power, first.power_limit) == (0.37, 51.0, 64.0, 263.0)
    assert (first.memory_total, first.memory_used, first.clock) == (16 * GIB, 3 * GIB, 1812.0)
    assert first.memory_clock is None
    (tmp_path / "sys/class/drm/card2/device/gpu_busy_percent").write_text("nonsense")
    assert KernelGpus(tmp_path).read()[0].busy is None


@pytest.mark.skipif(sys.platform == "darwin", reason="Macs have other sources")
def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_sources(tmp_path) == ([], [])
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    for name in ("pynvml", "amdsmi"):
        monkeypatch.setitem(sys.modules, name, None)
    sources, notes = find_sources(tmp_path)
    assert sources == []
    assert [note.source for note in notes] == ["nvidia-ml-py", "amdsmi"]
    assert "make setup`" in notes[0].fix and "[nvidia]" in notes[0].fix

    broken = types.ModuleType("pynvml")
    broken.__dict__.update({**vars(recorded_nvml), "nvmlDeviceGetCount": _refusing})
    monkeypatch.setitem(sys.modules, "pynvml", broken)
    monkeypatch.setitem(sys.modules, "amdsmi", recorded_amdsmi)
    (tmp_path / "rocm/lib").mkdir(parents=True)
    (tmp_path / "rocm/lib/libamd_smi.so").touch()
    monkeypatch.setenv("ROCM_PATH", str(tmp_path / "rocm"))
    sources, notes = find_sources(tmp_path)
    assert [type(source).__name__ for source in sources] == ["AmdGpus"]
    assert "Driver Not Loaded" in notes[0].what and "nvidia-smi" in notes[0].fix

    monkeypatch.setitem(sys.modules, "pynvml", recorded_nvml)
    sources, notes = find_sources(tmp_path)
    assert [type(source).__name__ for source in sources] == ["NvidiaGpus", "AmdGpus"]
    assert not notes


def _refusing() -> int:
    raise recorded_nvml.NVMLError("Driver Not Loaded")


NAMES = ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce MX450")
KNOWN = (
    Device(name="CPU", kind="cpu", free=7, total=9),
    Device(name="CUDA0", kind="gpu", description=NAMES[0], free=1, total=24000 * MIB),
    Device(name="CUDA1", kind="gpu", description=NAMES[1], free=1, total=2000 * MIB),
)


def test_what_is_free_comes_from_the_driver_where_devices_cannot_be_mistaken() -> None:
    gpus = NvidiaGpus(recorded_nvml).read()
    found = refreshed(KNOWN, gpus, {})
    assert found is not None
    # Never more than the library said there is.
    assert [device.free for device in found] == [7, 15012 * MIB, 2000 * MIB]
    assert [replace(now, free=then.free) for now, then in zip(found, KNOWN, strict=True)] == list(KNOWN)


@pytest.mark.parametrize(
    "devices",
    [
        (),
        KNOWN[:1],
        KNOWN[:2],
        (KNOWN[0], replace(KNOWN[2], name="CUDA0"), replace(KNOWN[1], name="CUDA1")),
        (*KNOWN[:2], replace(KNOWN[2], total=1000 * MIB)),
        (*KNOWN[:2], replace(KNOWN[2], description="NVIDIA H100 MIG 1g.10gb")),
    ],
)
def test_devices_that_may_be_others_are_asked_of_the_library(devices: tuple[Device, ...]) -> None:
    assert refreshed(devices, NvidiaGpus(recorded_nvml).read(), {}) is None


def test_devices_that_are_hidden_or_reordered_are_asked_of_the_library() -> None:
    assert refreshed(KNOWN, NvidiaGpus(recorded_nvml).read(), {"CUDA_VISIBLE_DEVICES": "0,1"}) is None
    assert refreshed(KNOWN, (), {}) is None

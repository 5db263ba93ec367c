"""Which devices there are, and that a model is computed on the one it is asked onto; GPUs by readings of real ones."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import InvalidRequest
from engine.library.folder_fit import device_for
from engine.local import LocalEngine
from engine.runtime.backends import found_devices, nvml
from engine.runtime.backends.found_devices import joined
from engine.runtime.backends.hf import devices
from engine.runtime.backends.mlx import library as mlx
from engine.types import Device, LoadOptions
from starter import gguf_path, hf_path
from tests.tiers import mostly_long

CARDS = (
    ("GPU-4f6a1cbb-0d0f-1f6c-b6c6-5f0d7b1a9f10", "NVIDIA H100 80GB HBM3", 85_520_809_984, 84_982_628_352),
    ("GPU-a2b9e7c4-88a1-51c2-9c1e-2d6f43d0e7aa", "NVIDIA L4", 24_152_899_584, 23_580_573_696),
    ("GPU-d1e2f3a4-0000-5555-aaaa-77b8c9d0e1f2", "NVIDIA L4", 24_152_899_584, 12_000_000_000),
)
"""UUID, name, total and free bytes."""


class Driver:
    """NVML as it answers through ctypes on a machine with `cards`; one that is `dead` does not answer."""

    def __init__(self, cards: tuple[Any, ...] = CARDS, dead: int | None = None, init: int = 0) -> None:
        self.cards, self.dead, self.init, self.open = cards, dead, init, False

    def nvmlInit_v2(self) -> int:
        self.open = not self.init
        return self.init

    def nvmlShutdown(self) -> int:
        self.open = False
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.cards)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 15 if index.value == self.dead else 0

    def nvmlDeviceGetName(self, handle: Any, text: Any, size: Any) -> int:
        text.value = self.cards[handle.value - 1][1].encode()
        return 0

    def nvmlDeviceGetUUID(self, handle: Any, text: Any, size: Any) -> int:
        text.value = self.cards[handle.value - 1][0].encode()
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        _, _, memory._obj.total, memory._obj.free = self.cards[handle.value - 1]
        return 0


def test_the_gpus_of_the_driver() -> None:
    driver = Driver()
    found = nvml.read(driver, {})
    assert [each.name for each in found] == ["CUDA0", "CUDA1", "CUDA2"]
    assert found[0] == Device(
        name="CUDA0",
        description="NVIDIA H100 80GB HBM3",
        kind="gpu",
        free=84_982_628_352,
        total=85_520_809_984,
    )
    assert not driver.open
    assert nvml.read(Driver(init=9), {}) == []
    assert [each.description for each in nvml.read(Driver(dead=0), {})] == ["NVIDIA L4", "NVIDIA L4"]


@pytest.mark.parametrize(
    ("said", "free"),
    [
        ("2,0", [12_000_000_000, 84_982_628_352]),
        ("1", [23_580_573_696]),
        ("GPU-d1e2", [12_000_000_000]),
        ("", []),
        ("-1", []),
        ("0,9,1", [84_982_628_352]),
        ("0,0", [84_982_628_352]),
    ],
)
def test_cuda_shows_what_it_is_told_to(said: str, free: list[int]) -> None:
    """In that order and numbered anew, up to the first that is not there (CUDA's own rule)."""
    found = nvml.read(Driver(), {"CUDA_VISIBLE_DEVICES": said})
    assert [each.free for each in found] == free
    assert [each.name for each in found] == [f"CUDA{number}" for number in range(len(free))]


def test_each_device_has_the_backends_that_can_use_it() -> None:
    cpu = Device(name="CPU")
    cuda = nvml.read(Driver(CARDS[:2]), {})
    without = joined([cpu], cuda)
    assert [(each.name, each.backends) for each in without] == [
        ("CPU", ()),
        ("CUDA0", ("transformers",)),
        ("CUDA1", ("transformers",)),
    ]
    both = joined([cpu, Device(name="CUDA0", kind="gpu"), Device(name="Vulkan0", kind="gpu")], cuda[:1])
    assert [each.backends for each in both] == [(), ("llama", "transformers"), ("llama",)]
    assert joined([cpu, Device(name="MTL0", kind="gpu")], [])[1].backends == ("llama", "mlx", "transformers")


def fake_torch(*, cards: int = 0, mps: bool = False, hip: str | None = None) -> Any:
    """What is asked of torch, as it answers on such a machine."""
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_available=lambda: cards > 0,
            device_count=lambda: cards,
            get_device_properties=lambda index: SimpleNamespace(
                name=CARDS[index][1], total_memory=CARDS[index][2] - 2**28
            ),
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        version=SimpleNamespace(hip=hip),
    )


@pytest.mark.parametrize(
    ("machine", "asked", "name"),
    [
        ({"cards": 2}, None, "cuda:0"),
        ({"cards": 2}, "cuda:1", "cuda:1"),
        ({"cards": 2}, "cpu", "cpu"),
        ({"mps": True}, None, "mps"),
        ({"mps": True}, "metal", "mps"),
        ({"cards": 1, "hip": "6.2"}, "rocm", "cuda:0"),
        ({}, None, "cpu"),
    ],
    ids=str,
)
def test_what_pytorch_is_told(
    machine: dict[str, Any], asked: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(**machine))
    assert devices.torch_name(devices.device_of(LoadOptions(device=asked))) == name


@pytest.mark.parametrize("asked", [None, "cuda:0", "gpu", "cuda:0,cuda:1", "cuda:0,cpu,disk"])
def test_no_layers_on_gpus_means_the_processor_for_worker_and_estimate(
    asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what does not fit on a GPU is loaded in the end, also where one was named."""
    monkeypatch.setitem(sys.modules, "torch", fake_torch(cards=2))
    said = LoadOptions(device=asked, gpu_layers=0)
    found = found_devices.torch_devices()
    assert device_for(found, said).name == "CPU" == devices.device_of(said).name
    monkeypatch.setattr(mlx, "mlx_devices", lambda: [Device(name="Metal", kind="gpu"), Device(name="CPU")])
    assert mlx._device(LoadOptions(device="gpu", gpu_layers=0)).name == "CPU"


def test_pytorch_is_not_told_of_what_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(cards=1))
    with pytest.raises(InvalidRequest, match="cuda:3") as raised:
        devices.device_of(LoadOptions(device="cuda:3"))
    assert "auto, cuda:0, cpu" in raised.value.fix


def test_this_machine_as_each_library_sees_it() -> None:
    for found in (
        found_devices.all_devices(),
        found_devices.torch_devices(),
        found_devices.mlx_devices(),
    ):
        cpus = [device for device in found if device.kind == "cpu"]
        assert len(cpus) == 1 and cpus[0].total > 2**30


@pytest.mark.parametrize("path", mostly_long([str(gguf_path()), str(hf_path())], 1), ids=["llama", "folder"])
async def test_a_model_says_where_it_is_and_stays_there(engine: LocalEngine, path: str) -> None:
    await engine.load(path, LoadOptions(context=64, slots=1, device="cpu"))
    (before,) = engine.loaded()
    assert before.facts is not None and before.facts.device.startswith("CPU")
    for same in ("auto", "CPU", None):
        await engine.load(path, LoadOptions(device=same))
    assert engine.loaded()[0].pid == before.pid, "it is there already"
    with pytest.raises(InvalidRequest, match="no device 'cuda:5'") as raised:
        await engine.load(path, LoadOptions(device="cuda:5"))
    assert "CPU" in raised.value.why


def test_structures_are_those_of_the_driver() -> None:
    assert ctypes.sizeof(nvml.Memory) == 24

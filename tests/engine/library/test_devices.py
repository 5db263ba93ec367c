"""Devices by name: what people write finds the right one, and what is not there is refused with what is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.library.devices import asked_of, canonical, described, left_by, on_cpu, spoken, titled, usable
from engine.library.folder_fit import device_for
from engine.types import Device, LoadOptions

CPU = Device(name="CPU", description="AMD EPYC", kind="cpu", free=2**35, total=2**36)
BLAS = Device(name="BLAS", kind="accelerator")
ONE = Device(
    name="CUDA0", description="NVIDIA H100 80GB HBM3", kind="gpu", free=83_900_000_000, total=85_052_096_512
)
TWO = Device(name="CUDA1", description="NVIDIA L4", kind="gpu", free=2**34, total=24_152_899_584)
VULKAN = Device(name="Vulkan0", description="NVIDIA L4", kind="gpu", backends=("llama",))
METAL = Device(name="MTL0", description="Apple M2 Max", kind="gpu", free=2**34, total=22_906_503_168)
SERVER = (CPU, BLAS, ONE, TWO, VULKAN)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        (None, None), ("auto", None), ("Auto", None), ("cpu", CPU), ("CPU", CPU), ("gpu", ONE), ("cuda", ONE),
        ("cuda:0", ONE), ("CUDA1", TWO), ("cuda:1", TWO), ("cuda-1", TWO), ("vulkan", VULKAN), ("Vulkan0", VULKAN),
    ],
)  # fmt: skip
def test_whatever_way_it_is_written(name: str | None, device: Device | None) -> None:
    assert asked_of(SERVER, name) == device


@pytest.mark.parametrize("name", ["metal", "mps", "MPS", "mps:0", "mtl0", "gpu"])
def test_apples_gpu_has_many_names(name: str) -> None:
    for own in (METAL, Device(name="Metal", kind="gpu"), Device(name="MPS", kind="gpu")):
        assert asked_of((CPU, own), name) == own


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(InvalidRequest, match="no device 'cuda:7'") as raised:
        asked_of((CPU, ONE, METAL), "cuda:7")
    assert "CUDA0 (NVIDIA H100 80GB HBM3, 78 GiB free of 79 GiB)" in raised.value.why
    assert raised.value.fix == "Use one of: auto, cpu, cuda:0, metal."
    assert raised.value.param == "device"
    with pytest.raises(InvalidRequest):
        asked_of((CPU, BLAS), "gpu")


@given(name=st.text(max_size=64))
def test_any_text_finds_one_or_is_refused(name: str) -> None:
    try:
        found = asked_of(SERVER, name)
    except InvalidRequest:
        return
    assert found is None or canonical(spoken(found)) in (canonical(name), canonical(found.name))


def test_a_load_is_left_with_its_device_and_the_processor() -> None:
    assert left_by(SERVER, "cuda:1") == (CPU, BLAS, TWO)
    assert left_by(SERVER, "cpu") == (CPU, BLAS)
    assert left_by(SERVER, None) == SERVER
    assert usable(SERVER, "transformers") == (CPU, BLAS, ONE, TWO)
    assert (
        on_cpu(LoadOptions(device="CPU")) and on_cpu(LoadOptions(gpu_layers=0)) and not on_cpu(LoadOptions())
    )


def test_a_model_folder_goes_where_it_is_asked_to_go() -> None:
    for options, device in (
        (LoadOptions(), ONE),
        (LoadOptions(device="cuda:1"), TWO),
        (LoadOptions(device="cpu"), CPU),
        (LoadOptions(gpu_layers=0), CPU),
        (LoadOptions(device="xpu:3"), ONE),
    ):
        assert device_for((CPU, BLAS, ONE, TWO), options) == device


def test_titles() -> None:
    assert titled(TWO) == "CUDA1 (NVIDIA L4)" and titled(BLAS) == described(BLAS) == "BLAS"
    assert described(CPU) == "CPU (AMD EPYC, 32 GiB free of 64 GiB)"

"""Where the layers of a model folder go: over GPUs as a driver told of them, into main memory, onto the disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.errors import InvalidRequest, Unsupported
from engine.library.devices import DISK, canonical
from engine.library.folder_fit import needs, placed
from engine.library.folder_split import Placement, Sizes, placement
from engine.library.model_folder import read_folder
from engine.library.pools import demand
from engine.library.shape import context_shape
from engine.types import Device, LoadOptions
from starter import hf_path
from tests.engine.runtime.test_devices import CARDS

GIB = 2**30
CPU = Device(name="CPU", free=32 * GIB, total=64 * GIB)
H100, L4, BUSY_L4 = (
    Device(name=f"CUDA{number}", description=name, kind="gpu", free=free, total=total)
    for number, (_, name, total, free) in enumerate(CARDS)
)
SERVER = (CPU, H100, L4, BUSY_L4)
TWINS = (CPU, *(replace(L4, name=f"CUDA{number}") for number in range(2)))
EIGHT_B = Sizes(layers=(436 * 2**20,) * 32, cache=64 * 2**20, rest=2 * GIB, buffers=2**28)
"""Shape of an 8B model in bfloat16, four windows of 8,192 tokens."""
SEVENTY_B = Sizes(layers=(1712 * 2**20,) * 80, cache=64 * 2**20, rest=4 * GIB, buffers=2**29)


def of(sizes: Sizes, devices: tuple[Device, ...], **said: object) -> Placement | None:
    return placement(sizes, devices, LoadOptions(**said))  # type: ignore[arg-type]


def counts(found: Placement | None) -> dict[str, int]:
    assert found is not None
    return {name: found.layers.count(name) for name in dict.fromkeys(found.layers)}


def test_one_gpu_is_enough_where_it_has_room() -> None:
    assert of(EIGHT_B, SERVER) is None
    assert of(EIGHT_B, (CPU, L4)) is None
    assert of(EIGHT_B, (CPU,)) is None
    for one in ("cpu", "cuda:1", "gpu"):
        assert of(SEVENTY_B, SERVER, device=one) is None
    assert of(SEVENTY_B, SERVER, gpu_layers=0) is None


def test_as_few_gpus_as_have_room_by_what_they_have_free() -> None:
    twice = replace(EIGHT_B, layers=EIGHT_B.layers * 2)
    assert counts(of(twice, TWINS)) == {"CUDA0": 30, "CUDA1": 34}, "the first has the embeddings too"
    assert set(counts(of(twice, (CPU, BUSY_L4, L4)))) == {"CUDA2", "CUDA1"}
    shares = counts(of(SEVENTY_B, SERVER))
    assert sum(shares.values()) == 80 and shares["CUDA0"] > 3 * shares["CUDA1"] > 3 * shares["CUDA2"] > 0


def test_shares_and_sizes_are_held_to() -> None:
    both = "cuda:0,cuda:1"
    assert counts(of(EIGHT_B, TWINS, device=both)) == {"CUDA0": 15, "CUDA1": 17}
    assert counts(of(EIGHT_B, TWINS, device=both, split="3,1")) == {"CUDA0": 24, "CUDA1": 8}
    assert of(EIGHT_B, TWINS, split="1,0") is None
    sized = counts(of(EIGHT_B, TWINS, device=both, split="6GB,20GB"))
    # 6 GiB less embeddings and buffers: seven layers with their caches.
    assert sized == {"CUDA0": 7, "CUDA1": 25}
    with_memory = counts(of(EIGHT_B, TWINS, device="cuda:0,cuda:1,cpu", split="8GB,4GB,1GB"))
    assert list(with_memory) == ["CUDA0", "CUDA1", "CPU"] and sum(with_memory.values()) == 32


def test_what_has_no_room_on_gpus_is_kept_in_main_memory_and_on_the_disk() -> None:
    found = of(SEVENTY_B, (CPU, L4), device="cuda:1,cpu,disk")
    assert found is not None and found.main == "CUDA1"
    assert list(counts(found)) == ["CUDA1", "CPU", "DISK"]
    assert counts(found)["CPU"] == int(0.9 * 32 * GIB / SEVENTY_B.layers[0])
    some = of(EIGHT_B, SERVER, gpu_layers=20)
    assert counts(some) == {"CUDA0": 20, "CPU": 12} and some is not None and some.main == "CUDA0"
    assert of(EIGHT_B, SERVER, gpu_layers=99) is None and of(EIGHT_B, SERVER, gpu_layers=-1) is None
    for none in ({}, {"gpu_layers": 0}):
        assert counts(of(EIGHT_B, SERVER, device="cpu,disk", split="1,3", **none)) == {"CPU": 8, "DISK": 24}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"device": "cuda:0,cuda:7"}, "no device 'cuda:7'"),
        ({"device": "cuda:0,cuda:0"}, "cannot be used"),
        ({"device": "cuda:1,cuda:0"}, "order of their numbers"),
        ({"device": "cpu,cuda:0"}, "cannot come after"),
        ({"device": "disk,cpu"}, "computes nothing"),
        ({"device": "cuda:0,auto"}, "cannot be used"),
        ({"device": "cuda:0,cuda:1", "split": "1,1,1"}, "3 parts, for 2 devices"),
        ({"split": "1,1"}, "2 parts, for 3 devices"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(said: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as raised:
        of(EIGHT_B, SERVER, **said)
    assert raised.value.param in said


def test_quantised_layers_stay_on_gpus() -> None:
    assert of(EIGHT_B, TWINS, device="cuda:0,cuda:1", load_in_4bit=True) is not None
    with pytest.raises(Unsupported, match="beside a GPU") as raised:
        of(EIGHT_B, SERVER, gpu_layers=3, load_in_8bit=True)
    assert raised.value.param == "load_in_8bit"


@given(
    layers=st.lists(st.integers(1, 2**30), min_size=1, max_size=40),
    free=st.lists(st.integers(0, 2**33), min_size=1, max_size=4),
    gpu_layers=st.none() | st.integers(-1, 50),
    kept=st.sampled_from(["", ",cpu", ",cpu,disk", ",disk"]),
    split=st.none() | st.sampled_from(["share", "size"]),
)
def test_every_layer_has_one_place_in_order(
    layers: list[int], free: list[int], gpu_layers: int | None, kept: str, split: str | None
) -> None:
    gpus = [Device(name=f"CUDA{number}", kind="gpu", free=each) for number, each in enumerate(free)]
    names = ",".join(f"cuda:{number}" for number in range(len(free))) + kept
    parts = len(gpus) + (kept.count(",") if gpu_layers is None or gpu_layers < 0 else 0)
    said = LoadOptions(
        device=names,
        gpu_layers=gpu_layers,
        split=None if split is None else ",".join(["2" if split == "share" else "1GB"] * parts),
    )
    sizes = Sizes(layers=tuple(layers), cache=1000, rest=2**20, buffers=2**16)
    try:
        found = placement(sizes, (CPU, *gpus), said)
    except InvalidRequest as error:
        # As many parts as GPUs, where all of the layers are on them.
        assert error.param == "split"
        return
    if found is None:
        return
    order = [*(each.name for each in gpus), "CPU", DISK.name]
    places = [order.index(name) for name in found.layers]
    assert len(places) == len(layers) and places == sorted(places) and found.main == "CUDA0"


def test_the_estimate_counts_each_device() -> None:
    folder = read_folder(hf_path())
    shape = context_shape(LoadOptions(context=512, slots=2), folder.context)
    gpus = tuple(Device(name=f"CUDA{number}", kind="gpu", free=8 << 30, total=8 << 30) for number in range(2))
    cpu = Device(name="CPU", free=2**33)
    (whole,) = needs(folder, shape, (cpu, *gpus), LoadOptions())
    first, second = needs(folder, shape, (cpu, *gpus), LoadOptions(split="1,1"))
    assert (first.device, second.device) == ("CUDA0", "CUDA1")
    assert first.weights + second.weights == whole.weights and first.weights > second.weights
    assert first.kv_cache == second.kv_cache == whole.kv_cache // 2 and second.compute == whole.compute
    gpu, kept = needs(folder, shape, (cpu, *gpus), LoadOptions(gpu_layers=1))
    assert (gpu.device, kept.device, kept.kind) == ("CUDA0", "CPU", "cpu")
    assert gpu.weights + kept.weights == whole.weights and kept.kv_cache == 0
    assert gpu.kv_cache == whole.kv_cache and gpu.compute > whole.compute, "it computes all of them"
    assert demand((gpu, kept), kept.total) == {"main memory": kept.weights, "CUDA0": gpu.total}
    (half,) = needs(folder, shape, (cpu,), LoadOptions(device="cpu,disk", split="1,1"))
    (all_of_it,) = needs(folder, shape, (cpu,), LoadOptions())
    assert half.weights < all_of_it.weights and half.kv_cache == all_of_it.kv_cache
    assert placed(folder, shape, (cpu,), LoadOptions()) is None


def test_several_names_are_spelt_in_one_way() -> None:
    assert canonical("CUDA:0, cuda1,CPU,disk") == "cuda0,cuda1,cpu,disk"

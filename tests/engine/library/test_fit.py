"""What a model needs by its header alone: weights exactly, KV caches by llama.cpp's formulas, GPUs by its dealing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.library import Header, read_header
from engine.library.advice import advice
from engine.library.dimensions import Layer, dimensions_of
from engine.library.fit import kv_bytes, needs, placed
from engine.library.gguf import Tensor
from engine.library.pools import MAIN, demand, missing, pool_of, show
from engine.library.shape import ContextShape, DryRun, Matrix, context_shape, sequence_ids
from engine.types import Device, DeviceNeed, LoadOptions
from tests.weights import tiny_bert, tiny_gemma, tiny_hybrid, tiny_llama, tiny_mamba

GIB = 2**30
CPU = Device(name="CPU", free=8 * GIB, total=16 * GIB)


def gpu(name: str, free: int) -> Device:
    return Device(name=name, kind="gpu", free=free * GIB, total=24 * GIB)


def header(architecture: str, *tensors: Tensor, **metadata: Any) -> Header:
    """A header as a file would have it; dots in its keys are written `__`."""
    said = {f"{architecture}.{key.replace('__', '.')}": value for key, value in metadata.items()}
    return Header(
        version=3,
        metadata={"general.architecture": architecture, **said},
        tensors=tensors,
        file_size=0,
    )


def layers(architecture: str, **metadata: Any) -> tuple[Layer, ...]:
    plain = {"block_count": 2, "embedding_length": 64, "attention__head_count": 4}
    return dimensions_of(header(architecture, **plain | metadata)).layers


# --- layouts


def test_without_cells_there_is_a_window_for_each_slot() -> None:
    shape = context_shape(LoadOptions(context=1000, slots=3), 4096)
    assert (shape.context, shape.cells, shape.padded_cells) == (1000, 3000, 3072)
    assert (shape.batch, shape.outputs, shape.whole_window) == (512, 19, True)


def test_fewer_cells_are_shared_and_bound_the_window() -> None:
    shape = context_shape(LoadOptions(slots=8, cells=2048), 4096)
    assert (shape.context, shape.cells) == (2048, 2048)
    assert context_shape(LoadOptions(slots=8, context=512, cells=2048), 4096).context == 512


def test_the_trained_window_and_the_default_bound_it_too() -> None:
    assert context_shape(LoadOptions(), 131_072).context == 8192
    assert context_shape(LoadOptions(), 2048).context == 2048
    assert context_shape(LoadOptions(), 0).context == 8192
    assert context_shape(LoadOptions(context=100_000), 2048).context == 2048


@given(
    st.builds(
        LoadOptions,
        context=st.none() | st.integers(8, 2**40),
        slots=st.none() | st.integers(1, 256),
        batch=st.none() | st.integers(1, 2**40),
        cells=st.none() | st.integers(8, 2**40),
    ),
    st.integers(0, 2**31),
)
def test_any_options_give_a_layout_that_can_be_opened(options: LoadOptions, trained: int) -> None:
    shape = context_shape(options, trained)
    assert 8 <= shape.context <= shape.cells <= shape.padded_cells < 2**31
    assert shape.micro_batch <= shape.batch and shape.outputs <= shape.batch


@given(st.integers(1, 255), st.booleans(), st.booleans(), st.booleans())
def test_sequence_ids_never_run_out(slots: int, stateful: bool, slides: bool, whole: bool) -> None:
    ids = sequence_ids(slots, stateful=stateful, slides=slides, whole_window=whole)
    per_shelf = 2 if ids.twins else 1
    assert slots <= ids.sequences <= 256 and ids.shelves >= 0
    assert ids.sequences + (0 if stateful else per_shelf * ids.shelves) <= 256
    assert ids.twins <= (slides and whole)


# --- what a layer keeps


def test_attention_keeps_keys_and_values_of_its_kv_heads() -> None:
    assert layers("llama", attention__head_count_kv=2) == (Layer(keys=32, values=32),) * 2
    assert layers("llama")[0].keys == 64, "without a number of their own there are as many as heads"
    each = layers("llama", attention__head_count_kv=(4, 0))
    assert [layer.keys for layer in each] == [64, 0]
    sized = layers("llama", attention__head_count_kv=1, attention__key_length=24, attention__value_length=8)
    assert (sized[0].keys, sized[0].values) == (24, 8)


def test_latent_attention_keeps_one_compressed_row() -> None:
    (first, _) = layers(
        "deepseek2",
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
        attention__value_length_mla=128,
    )
    assert (first.keys, first.values) == (576, 0)


def test_sliding_layers_come_in_periods_or_as_the_file_says() -> None:
    said = {"block_count": 6, "attention__head_count_kv": 1, "attention__sliding_window": 512}
    assert [layer.window for layer in layers("gemma3", **said)] == [512] * 5 + [0]
    assert [layer.window for layer in layers("gpt-oss", **said)] == [512, 0] * 3
    pattern = {"attention__sliding_window_pattern": (True, False, False)}
    assert [layer.window for layer in layers("other", **said | pattern)] == [512, 0, 0] * 2


def test_layers_that_use_the_keys_of_others_keep_none() -> None:
    each = layers("gemma3n", block_count=5, attention__head_count_kv=1, attention__shared_kv_layers=2)
    assert [layer.keys > 0 for layer in each] == [True, True, True, False, False]


def test_running_states_are_counted_once_for_each_sequence() -> None:
    mamba = layers("mamba", ssm__conv_kernel=4, ssm__inner_size=128, ssm__state_size=16)
    assert mamba[0] == Layer(state=3 * 128 + 16 * 128)
    rwkv = layers("rwkv7", wkv__head_size=64, token_shift_count=2)
    assert rwkv[0] == Layer(state=2 * 64 + 64 * 64)
    hybrid = layers(
        "granitehybrid",
        attention__head_count_kv=(0, 2),
        ssm__conv_kernel=4,
        ssm__inner_size=128,
        ssm__state_size=16,
        ssm__group_count=1,
    )
    assert (hybrid[0].keys, hybrid[0].state) == (0, 3 * (128 + 32) + 16 * 128)
    assert (hybrid[1].keys, hybrid[1].state) == (32, 0)
    lfm = layers("lfm2", attention__head_count_kv=(0, 2), shortconv__l_cache=3)
    assert (lfm[0].state, lfm[1].state) == (64 * 2, 0)


def test_encoders_keep_nothing() -> None:
    assert layers("bert") == (Layer(), Layer())


SHAPE = context_shape(LoadOptions(context=1024, slots=4), 4096)


def test_the_type_of_the_cache_counts_by_blocks() -> None:
    layer = Layer(keys=64, values=64)
    assert kv_bytes(layer, SHAPE, 5, None) == 4096 * 128 * 2
    assert kv_bytes(layer, SHAPE, 5, "f32") == 4096 * 128 * 4
    assert kv_bytes(layer, SHAPE, 5, "q8_0") == 4096 * 4 * 34
    assert kv_bytes(Layer(state=10), SHAPE, 8, "q8_0") == 4 * 10 * 8


def test_a_sliding_window_is_whole_unless_told_otherwise() -> None:
    layer = Layer(keys=64, values=64, window=256)
    assert kv_bytes(layer, SHAPE, 9, None) == 4096 * 128 * 2
    narrow = context_shape(LoadOptions(context=1024, slots=4, whole_window=False), 4096)
    assert kv_bytes(layer, narrow, 5, None) == (5 * 256 + 512) * 128 * 2


def test_metadata_of_the_wrong_type_counts_as_not_said() -> None:
    odd = layers("llama", attention__head_count_kv="two", attention__key_length=-3, feed_forward_length=2**70)
    assert odd[0].keys == 64


# --- devices


def test_without_gpus_everything_is_on_the_processor() -> None:
    assert placed(3, [CPU], None) == ("CPU",) * 4
    assert placed(3, [CPU, gpu("CUDA0", 8)], 0) == ("CPU",) * 4


def test_layers_are_dealt_to_gpus_by_their_free_memory_the_last_ones_first() -> None:
    two = [CPU, gpu("CUDA0", 6), gpu("CUDA1", 2)]
    assert placed(7, two, None) == ("CUDA0",) * 6 + ("CUDA1",) * 2
    assert placed(7, two, None, "1,3") == ("CUDA0",) * 2 + ("CUDA1",) * 6
    with pytest.raises(InvalidRequest, match="2 parts, for 1 device"):
        placed(7, two[:2], None, "1,3")
    assert placed(7, two, 4) == ("CPU",) * 4 + ("CUDA0",) * 3 + ("CUDA1",)
    small = Device(name="Vulkan0", kind="igpu", free=GIB, total=GIB)
    assert set(placed(7, [CPU, small], None)) == {"Vulkan0"}
    assert "Vulkan0" not in placed(7, [*two, small], None)


def model(*, tied: bool = False) -> Header:
    def matrix(name: str, size: int) -> Tensor:
        return Tensor(name, (64, 64), "Q4_0", 0, size)

    output = () if tied else (matrix("output.weight", 1000),)
    blocks = (matrix(f"blk.{index}.ffn_up.weight", 100) for index in range(2))
    return header(
        "llama",
        matrix("token_embd.weight", 500),
        *blocks,
        *output,
        block_count=2,
        embedding_length=64,
        attention__head_count=4,
    )


def by_device(found: tuple[DeviceNeed, ...], field: str) -> dict[str, int]:
    return {each.device: getattr(each, field) for each in found}


def test_weights_lie_where_their_layers_do() -> None:
    one = [CPU, gpu("CUDA0", 8)]

    def weights(layers: int | None, *, tied: bool = False) -> dict[str, int]:
        file = model(tied=tied)
        return by_device(needs([file], dimensions_of(file), SHAPE, one, gpu_layers=layers), "weights")

    assert weights(None) == {"CPU": 500, "CUDA0": 1200}
    assert weights(2) == {"CPU": 600, "CUDA0": 1100}
    assert weights(0) == {"CPU": 1700}
    assert weights(1, tied=True) == {"CPU": 700, "CUDA0": 500}, "the output needs the embeddings there too"


def test_a_dry_run_has_the_last_word_on_where_layers_lie_and_what_they_take() -> None:
    file, one = model(), [CPU, gpu("CUDA0", 8)]
    found = DryRun(kv_cache={"CUDA0": 70}, compute={"CPU": 5, "CUDA0": 30}, layers=("CPU", "CUDA0", "CUDA0"))
    assert needs([file], dimensions_of(file), SHAPE, one, dry_run=found) == (
        DeviceNeed(device="CPU", weights=600, compute=5, free=CPU.free, capacity=CPU.total),
        DeviceNeed(
            device="CUDA0", kind="gpu", weights=1100, kv_cache=70, compute=30, free=8 * GIB, capacity=24 * GIB
        ),
    )


def test_rearranged_matrices_count_twice_where_the_file_is_mapped() -> None:
    file = model(tied=True)
    found = DryRun(rearranged=(Matrix("Q4_0", (64, 64)),))

    def weights(*, mapped: bool) -> int:
        return needs([file], dimensions_of(file), SHAPE, [CPU], mapped=mapped, dry_run=found)[0].weights

    assert weights(mapped=True) == 500 + 2 * 200 + 500
    assert weights(mapped=False) == 500 + 200 + 500


def test_parts_of_a_split_model_add_up() -> None:
    whole, part = model(), model()
    assert needs([whole, part], dimensions_of(whole), SHAPE, [CPU])[0].weights == 2 * 1700


@pytest.mark.parametrize("write", [tiny_llama, tiny_gemma, tiny_mamba, tiny_hybrid, tiny_bert])
def test_weights_are_the_bytes_of_the_tensors(write: Any, tmp_path: Path) -> None:
    file = read_header(write(tmp_path))
    (cpu,) = needs([file], dimensions_of(file), SHAPE, [CPU])
    assert cpu.weights == file.tensor_bytes


# --- pools and advice


def test_integrated_gpus_share_main_memory() -> None:
    assert pool_of("CPU", "cpu") == pool_of("Vulkan0", "igpu") == pool_of("Metal", "gpu") == MAIN
    assert pool_of("CUDA1", "gpu") == "CUDA1"
    need = (
        DeviceNeed(device="CPU", weights=5),
        DeviceNeed(device="Vulkan0", kind="igpu", kv_cache=7),
        DeviceNeed(device="CUDA0", kind="gpu", weights=11),
    )
    assert demand(need, resident=100) == {MAIN: 107, "CUDA0": 11}
    assert missing({MAIN: 5, "CUDA0": 9}, {MAIN: 6, "CUDA0": 2}) == {"CUDA0": 7}
    assert show({MAIN: 3 * GIB, "CUDA0": 2**29}) == "3.0 GiB of main memory and 512 MiB of CUDA0"


def advised(short: int, *, kv_cache: int = 8, kv_type: str | None = None, **options: Any) -> str:
    shape: ContextShape = context_shape(LoadOptions(**options), 65_536)
    need = (DeviceNeed(device="CPU", weights=4 * GIB, kv_cache=kv_cache * GIB),)
    others = {"ember": {MAIN: GIB}, "big": {MAIN: 6 * GIB}}
    return advice({MAIN: short * GIB}, need, shape, kv_type, others)


def test_advice_names_what_alone_would_do() -> None:
    assert advised(3) == (
        "A context of 4096, 2 slots instead of 4, `kv_type` q8_0 or unloading big would make it fit."
    )
    assert advised(5) == "A context of 2048, 1 slot instead of 4 or unloading big would make it fit."
    assert advised(4, kv_type="q8_0", slots=1) == "A context of 4096 or unloading big would make it fit."
    assert advised(9) == "Choose a smaller model, or one in a smaller quantisation."

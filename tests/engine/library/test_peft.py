"""PEFT adapters become GGUF, or say by name why they cannot. What comes out on llama.cpp is tested there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HearthError, ModelLoadFailed, Unsupported
from engine.library.gguf import read_header
from engine.library.lora import Base, OtherModel, base_of
from engine.library.lora_folder import read_lora
from engine.library.peft import WEIGHTS, Plan, in_pairs, plan, read_peft, write
from engine.library.peft_config import PeftConfig
from engine.library.peft_names import gguf_name
from tests.weights import TINY, Llama, tiny_embedder, tiny_llama, tiny_mamba, write_llama
from tests.weights.peft_folders import MODULES, Tensors, lora_tensors, write_peft, write_safetensors

FIRST = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base_of("tiny", [read_header(tiny_llama(tmp_path_factory.mktemp("base")))])


def planned(folder: Path, base: Base) -> Plan:
    return plan(read_peft(folder), base)


def tensors(**changed: Any) -> Tensors:
    """Sound tensors, but for those of `changed`, in which `__` stands for the first module; None leaves out."""
    found = lora_tensors()
    for name, value in changed.items():
        key = name.replace("__", FIRST + ".").replace("_weight", ".weight")
        if value is None:
            del found[key]
        else:
            found[key] = np.asarray(value, np.float32)
    return found


# --- what comes out


def test_every_matrix_is_renamed_and_the_rows_of_q_and_k_are_put_in_pairs(tmp_path: Path, base: Base) -> None:
    source = lora_tensors()
    adapter = read_peft(write_peft(tmp_path / "adapter", source))
    write(adapter, plan(adapter, base), tmp_path / "out.gguf")
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(tmp_path / "out.gguf").tensors}
    assert len(found) == len(source)
    for part, module in MODULES.items():
        for layer in range(TINY.layers):
            down, up = (
                source[f"base_model.model.model.layers.{layer}.{module}.lora_{side}.weight"] for side in "AB"
            )
            heads = {"attn_q": TINY.heads, "attn_k": TINY.kv_heads}.get(part)
            assert np.array_equal(found[f"blk.{layer}.{part}.weight.lora_a"], down)
            assert np.array_equal(
                found[f"blk.{layer}.{part}.weight.lora_b"], in_pairs(up, heads) if heads else up
            )
    header = read_header(tmp_path / "out.gguf")
    assert (header.kind, header.architecture, header.text("adapter.type")) == ("adapter", "llama", "lora")
    assert header.metadata["adapter.lora.alpha"] == 8.0


def test_pairs_are_half_a_head_apart() -> None:
    rows = np.arange(12)[:, None]
    assert in_pairs(rows, 2)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


@given(heads=st.integers(1, 8), half=st.integers(1, 8), width=st.integers(1, 5))
def test_putting_rows_in_pairs_loses_none(heads: int, half: int, width: int) -> None:
    rows = np.arange(heads * 2 * half * width).reshape(heads * 2 * half, width)
    paired = in_pairs(rows, heads)
    for head in range(heads):
        block = paired[head * 2 * half : (head + 1) * 2 * half]
        assert np.array_equal(block[0::2], rows[head * 2 * half : head * 2 * half + half])
        assert np.array_equal(block[1::2], rows[head * 2 * half + half : (head + 1) * 2 * half])


@pytest.mark.parametrize(("kind", "stored"), [(np.float16, "F16"), (np.float32, "F32")])
def test_half_floats_stay_half_floats(tmp_path: Path, base: Base, kind: Any, stored: str) -> None:
    folder = write_peft(tmp_path / "a", {name: x.astype(kind) for name, x in lora_tensors().items()})
    adapter = read_peft(folder)
    write(adapter, plan(adapter, base), tmp_path / "out.gguf")
    assert {tensor.type for tensor in read_header(tmp_path / "out.gguf").tensors} == {stored}


def test_bfloat16_is_widened_without_loss(tmp_path: Path, base: Base) -> None:
    adapter = read_peft(write_peft(tmp_path / "a", bfloat16=True))
    write(adapter, plan(adapter, base), tmp_path / "out.gguf")
    tensor = gguf.GGUFReader(tmp_path / "out.gguf").tensors[0]
    assert not (tensor.data.view(np.uint32) & 0xFFFF).any()
    assert tensor.data.any()


def test_a_scale_that_one_alpha_cannot_say_goes_into_the_factor(tmp_path: Path, base: Base) -> None:
    config = {"alpha_pattern": {"k_proj": 16, "layers.1.mlp.up_proj": 2}}
    intended = planned(write_peft(tmp_path / "a", config=config), base)
    factors = {change.matrix: change.factor for change in intended.changes if change.factor != 1.0}
    assert intended.alpha == 8.0
    assert factors == {"blk.0.attn_k": 2.0, "blk.1.attn_k": 2.0, "blk.1.ffn_up": 0.25}


def test_an_alpha_of_zero_is_no_change(tmp_path: Path, base: Base) -> None:
    # llama.cpp takes an alpha of 0 for a scale of 1.
    intended = planned(write_peft(tmp_path / "a", config={"lora_alpha": 0}), base)
    assert intended.alpha == 1.0
    assert {change.factor for change in intended.changes} == {0.0}


def test_scales_are_those_of_peft() -> None:
    config = PeftConfig(rank=4, alpha=8.0, alphas={"self_attn.k_proj": 12.0, "proj": 1.0})
    assert config.scale("model.layers.0.self_attn.q_proj", 4) == 2.0
    assert config.scale("model.layers.0.self_attn.k_proj", 4) == 3.0
    assert config.scale("k_proj", 4) == 2.0
    assert PeftConfig(alpha=8.0, rank_stabilised=True).scale("q_proj", 16) == 2.0


# --- names


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("base_model.model.model.layers.0.self_attn.q_proj", "blk.0.attn_q"),
        ("base_model.model.layers.31.mlp.down_proj", "blk.31.ffn_down"),
        ("model.layers.7.self_attn.o_proj", "blk.7.attn_output"),
        ("base_model.model.model.language_model.layers.2.mlp.gate_proj", "blk.2.ffn_gate"),
        ("base_model.model.language_model.model.layers.2.mlp.up_proj", "blk.2.ffn_up"),
        ("base_model.model.model.embed_tokens", "token_embd"),
        ("base_model.model.lm_head", "output"),
        ("base_model.model.model.vision_tower.layers.0.self_attn.q_proj", None),
        ("base_model.model.model.layers.00.self_attn.q_proj", None),
        ("base_model.model.model.layers.-1.self_attn.q_proj", None),
        ("base_model.model.model.layers.99999.self_attn.q_proj", None),
        ("base_model.model.model.layers.0.self_attn.q_proj.q_proj", None),
        ("base_model.model.model.layers.0.mlp.experts.3.gate_proj", None),
        ("base_model.model.model.layers.0.self_attn.q_proj\n", None),
        ("base_model.model.score", None),
        ("", None),
    ],
)
def test_modules_are_named_as_llama_cpp_names_them(module: str, name: str | None) -> None:
    assert gguf_name(module) == name


@given(module=st.text(max_size=60) | st.text(alphabet="model.layrs0123_qkvp", max_size=60))
def test_any_name_is_known_or_not(module: str) -> None:
    name = gguf_name(module)
    assert name is None or name in ("token_embd", "output") or name.startswith("blk.")


# --- what is refused, by name


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"peft_type": None}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "lora_only"}, "lora_only"),
        ({"lora_bias": True}, "lora_bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"target_parameters": ["mlp.experts.gate_up_proj"]}, "target_parameters"),
        ({"trainable_token_indices": [3, 4]}, "trainable_token_indices"),
        ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"use_qalora": True}, "use_qalora"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "olora"}, "olora"),
        ({"init_lora_weights": "mica"}, "mica"),
        ({"alpha_pattern": {"(a+)+$": 4}}, "expression"),
        ({"invented_later": {"on": True}}, "invented_later"),
    ],
)
def test_what_plain_lora_cannot_express_is_refused_by_name(
    tmp_path: Path, base: Base, config: Mapping[str, Any], named: str
) -> None:
    folder = write_peft(tmp_path / "fancy", config=config)
    with pytest.raises(Unsupported) as caught:
        planned(folder, base)
    assert "fancy" in caught.value.what and named in caught.value.why and caught.value.fix
    assert caught.value.param == "adapters"


def test_a_configuration_of_this_years_peft_is_no_obstacle(tmp_path: Path, base: Base) -> None:
    peft = pytest.importorskip("peft")
    said = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"], task_type="CAUSAL_LM").to_dict()
    known = {name: sorted(value) if isinstance(value, set) else value for name, value in said.items()}
    folder = write_peft(tmp_path / "plain")
    (folder / "adapter_config.json").write_text(json.dumps(known))
    assert planned(folder, base).alpha == 8.0


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"__lora_magnitude_vector": [1.0]}, "DoRA"),
        ({"__lora_B.bias": [1.0]}, "bias"),
        ({"base_model.model.lm_head_weight": [[1.0]]}, "a whole matrix"),
        ({"base_model.model.score_weight": [[1.0]]}, "neither factor"),
        ({"base_model.model.model.layers.0.mlp.router.lora_A_weight": [[1.0]]}, "router"),
        ({"__lora_embedding_A": [[1.0]]}, "place in GGUF"),
        ({"base_model.model.model.embed_tokens.lora_A_weight": [[1.0]]}, "embed_tokens"),
    ],
)
def test_other_tensors_are_refused_by_name(
    tmp_path: Path, base: Base, changed: dict[str, Any], named: str
) -> None:
    with pytest.raises(Unsupported, match=named):
        planned(write_peft(tmp_path / "a", tensors(**changed)), base)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"__lora_A_weight": None}, "Half of what it changes at blk.0.attn_q"),
        ({"__lora_B_weight": np.zeros((64, 5))}, "do not go together"),
        ({"__lora_A_weight": np.zeros(64)}, "do not go together"),
        ({"__lora_A_weight": np.zeros((4, 64, 1))}, "do not go together"),
        ({"__lora_A_weight": np.zeros((5, 64)), "__lora_B_weight": np.zeros((64, 5))}, "is of rank 5"),
        ({"__lora_A_weight": np.zeros((0, 64)), "__lora_B_weight": np.zeros((64, 0))}, "do not go together"),
        ({"model.layers.0.self_attn.q_proj.lora_A_weight": np.zeros((4, 64))}, "twice"),
    ],
)
def test_damaged_tensors_are_said_to_be(
    tmp_path: Path, base: Base, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=said):
        planned(write_peft(tmp_path / "a", tensors(**changed)), base)


def test_an_adapter_without_a_change_is_damaged(tmp_path: Path, base: Base) -> None:
    with pytest.raises(ModelLoadFailed, match="changes no matrix"):
        planned(write_peft(tmp_path / "a", {}), base)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, base: Base, bad: float) -> None:
    source = lora_tensors()
    source[f"{FIRST}.lora_B.weight"][3, 2] = bad
    adapter = read_peft(write_peft(tmp_path / "a", source))
    with pytest.raises(ModelLoadFailed, match="not finite"):
        write(adapter, plan(adapter, base), tmp_path / "out.gguf")


@pytest.mark.parametrize(
    "shape", [Llama(width=128), Llama(layers=1), Llama(kv_heads=4), Llama(feed_forward=64)]
)
def test_an_adapter_of_another_model_does_not_fit(tmp_path: Path, shape: Llama) -> None:
    other = base_of("other", [read_header(write_llama(tmp_path / "other.gguf", shape))])
    with pytest.raises(OtherModel, match="does not fit other"):
        planned(write_peft(tmp_path / "a"), other)


def test_an_architecture_whose_names_are_not_known_is_refused(tmp_path: Path) -> None:
    other = base_of("mamba", [read_header(tiny_mamba(tmp_path))])
    with pytest.raises(Unsupported, match="names of mamba"):
        planned(write_peft(tmp_path / "a"), other)


def test_an_embedding_that_is_the_output_too_is_left_alone(tmp_path: Path) -> None:
    tied = base_of("tied", [read_header(tiny_embedder(tmp_path))])
    embedding = "base_model.model.model.embed_tokens.lora_embedding_"
    source = {f"{embedding}A": np.zeros((4, 258), np.float32), f"{embedding}B": np.zeros((64, 4), np.float32)}
    with pytest.raises(Unsupported, match="embed_tokens"):
        planned(write_peft(tmp_path / "a", source), tied)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    folder = write_peft(tmp_path / "a")
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(Unsupported, match="a pickle"):
        read_peft(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"peft_type": "LORA", "r": "8"}', '{"r": 1e999}', "[" * 100_000, "\ud800"],
)
def test_a_configuration_that_makes_no_sense_is_an_error(tmp_path: Path, text: str) -> None:
    folder = write_peft(tmp_path / "a")
    (folder / "adapter_config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(HearthError):
        read_peft(folder)


@pytest.mark.parametrize(
    "config",
    [{"r": 0}, {"r": -4}, {"r": 4.5}, {"r": True}, {"lora_alpha": "8"}, {"lora_alpha": [8]}, {"use_rslora": 1},
     {"alpha_pattern": [1]}, {"alpha_pattern": {"q_proj": "x"}}],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_errors(tmp_path: Path, base: Base, config: dict[str, Any]) -> None:
    with pytest.raises(HearthError):
        planned(write_peft(tmp_path / "a", config=config), base)


@pytest.mark.parametrize(
    "name",
    ["raw-empty.bin", "safetensors-gap.bin", "safetensors-header-only.bin", "safetensors-unknown-dtype.bin",
     "git-lfs-pointer-not-weights.bin", "weight-inspect-tiny.safetensors", "weight-inspect-tiny.gguf"],
)  # fmt: skip
def test_malformed_weights_are_clear_errors(shared_data: Path, tmp_path: Path, base: Base, name: str) -> None:
    folder = write_peft(tmp_path / "a")
    (folder / WEIGHTS).write_bytes((shared_data / "malformed" / name).read_bytes())
    with pytest.raises(ModelLoadFailed) as caught:
        planned(folder, base)
    assert caught.value.why and caught.value.fix


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["r", "lora_alpha", "peft_type", "bias", "rank_pattern", "alpha_pattern", "use_rslora",
                        "init_lora_weights", "modules_to_save"]) | st.text(max_size=12)  # fmt: skip


@given(config=st.dictionaries(keys, json_values, max_size=5))
def test_any_configuration_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, base: Base, config: dict[str, Any]
) -> None:
    folder = write_peft(tmp_path_factory.mktemp("any"), config=config)
    try:
        planned(folder, base)
    except HearthError as error:
        assert error.what and error.why and error.fix


sizes = st.lists(st.integers(0, 70), max_size=3)


@given(down=sizes, up=sizes)
def test_any_shape_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, base: Base, down: list[int], up: list[int]
) -> None:
    source = tensors(__lora_A_weight=np.zeros(down), __lora_B_weight=np.zeros(up))
    folder = write_peft(tmp_path_factory.mktemp("shape"), source)
    try:
        intended = planned(folder, base)
    except HearthError as error:
        assert error.what and error.why
    else:
        assert intended.changes[0].rank == 4 and (down, up) == ([4, 64], [64, 4])


def test_an_adapter_of_mlx_lm_becomes_the_same_file(tmp_path: Path, base: Base) -> None:
    """Its factors are those of PEFT the other way round, and its scale stands where alpha / rank does."""
    source = lora_tensors()
    turned = {
        name.removeprefix("base_model.model.")
        .replace(".weight", "")
        .replace("lora_A", "lora_a")
        .replace("lora_B", "lora_b"): values.T
        for name, values in source.items()
    }
    folder = tmp_path / "mlx"
    folder.mkdir()
    slabs = {name: ("F32", values.shape, values.tobytes()) for name, values in turned.items()}
    write_safetensors(folder / "adapters.safetensors", slabs)
    said = {"num_layers": 2, "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0}}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    written = []
    for adapter in (read_lora(folder), read_lora(write_peft(tmp_path / "peft", source, {"lora_alpha": 8}))):
        path = tmp_path / f"{adapter.name}.gguf"
        write(adapter, plan(adapter, base), path)
        written.append(path.read_bytes())
    assert written[0] == written[1]

"""Adapters of PEFT on llama.cpp: what a converted one says is what PEFT says, and off again is as if never on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engine.library.gguf import read_header
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.types import AdapterRef
from starter import adapter_path, gguf_path, hf_path
from tests.engine.llama.driving import distribution, generate, opened
from tests.engine.llama.peft_reference import FAMILIES, PARTS, Family, Reference, converted, logprobs

# transformers, peft and torch ask one another for things by their old names.
pytestmark = pytest.mark.filterwarnings("default::FutureWarning", "default::UserWarning")
PIRATE = adapter_path("pirate")


@pytest.fixture(scope="module", autouse=True)
def transformers() -> Any:
    pytest.importorskip("torch")
    pytest.importorskip("peft")
    return pytest.importorskip("transformers")


# --- the shipped adapter, of which both forms are of one training


def test_the_shipped_adapter_converts_to_the_shipped_file(tmp_path: Path) -> None:
    ref = converted(PIRATE.with_suffix(""), gguf_path(), tmp_path)
    made, shipped = ({t.name: t for t in gguf.GGUFReader(path).tensors} for path in (ref.name, PIRATE))
    assert made.keys() == shipped.keys()
    for name, tensor in made.items():
        assert tensor.tensor_type == shipped[name].tensor_type
        assert np.array_equal(tensor.data, shipped[name].data)
    alphas = [read_header(Path(path)).metadata["adapter.lora.alpha"] for path in (ref.name, PIRATE)]
    assert alphas == [16.0, 16.0]


def test_both_forms_say_the_same_and_off_again_is_as_if_never_on(tmp_path: Path) -> None:
    ref = converted(PIRATE.with_suffix(""), gguf_path(), tmp_path)
    model, fresh = (opened(gguf_path(), slots=1, context=256) for _ in range(2))
    text = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    prompt = model.tokenize(text, add_special=False, parse_special=True)
    base = distribution(fresh, prompt), generate(fresh, prompt, 24)
    said = []
    for adapter in (ref, AdapterRef(str(PIRATE))):
        model.set_adapters((adapter,))
        said.append((distribution(model, prompt), generate(model, prompt, 24)))
        model.set_adapters(())
        assert (distribution(model, prompt), generate(model, prompt, 24)) == base
    assert said[0] == said[1] != base
    model.close()
    fresh.close()


# --- against PEFT itself


@pytest.fixture(scope="module")
def reference(shared_data: Path, transformers: Any) -> Reference:
    """The little model of stories, its weights rounded to the half floats of its GGUF."""
    folder = shared_data / "models" / "stories260K-hf"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    for weight in model.parameters():
        if weight.ndim == 2:
            weight.data = weight.data.half().float()
    return Reference(model)


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Path:
    return shared_data / "models" / "stories260K-F16.gguf"


@pytest.fixture(scope="module")
def model(stories: Path) -> Iterator[LlamaBackend]:
    model = opened(stories, slots=1, context=256, kv_type="f32")
    yield model
    model.close()


PLAIN: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": PARTS}
VARIANTS: dict[str, dict[str, Any]] = {
    "every part": PLAIN,
    "queries and keys": {"r": 8, "lora_alpha": 24, "target_modules": ["q_proj", "k_proj"]},
    "rank-stabilised": {**PLAIN, "r": 9, "use_rslora": True},
    "ranks and alphas of their own": {
        **PLAIN,
        "rank_pattern": {"q_proj": 6, "layers.2.mlp.up_proj": 2},
        "alpha_pattern": {"k_proj": 20, "layers.1.self_attn.q_proj": 3},
    },
    "the same, rank-stabilised": {
        **PLAIN,
        "use_rslora": True,
        "rank_pattern": {"down_proj": 7},
        "alpha_pattern": {"v_proj": -5},
    },
    "some layers": {**PLAIN, "layers_to_transform": [1, 3]},
    "half floats": {**PLAIN, "dtype": "float16"},
    "bfloat16": {**PLAIN, "dtype": "bfloat16"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_converted_adapter_says_what_peft_says(
    reference: Reference, model: LlamaBackend, stories: Path, tmp_path: Path, variant: str
) -> None:
    prompt = model.tokenize("Once upon a time, there was a little", add_special=True, parse_special=False)
    base = logprobs(model, prompt)
    assert np.abs(base - reference.logprobs(prompt)).max() < 0.01
    folder = reference.random_adapter(tmp_path / "adapter", **VARIANTS[variant])
    expected = reference.logprobs(prompt, folder)
    model.set_adapters((converted(folder, stories, tmp_path / "cache"),))
    found = logprobs(model, prompt)
    model.set_adapters(())
    # llama.cpp rounds to half floats between two matrices of half floats; a permutation or a scale gone
    # wrong is as far off as the adapter is from its base.
    change = np.abs(expected - base).max()
    assert change > 1.0
    assert np.abs(found - expected).max() < 0.01 * change
    assert np.array_equal(logprobs(model, prompt), base)


def test_an_adapter_on_the_starter_says_what_peft_says(transformers: Any, tmp_path: Path) -> None:
    hf = Reference(transformers.AutoModelForCausalLM.from_pretrained(hf_path(), dtype="float32"))
    model = opened(gguf_path(), slots=1, context=256, kv_type="f32")
    prompt = model.tokenize("The capital of France is", add_special=False, parse_special=False)
    folder = hf.random_adapter(tmp_path / "adapter", **PLAIN)
    expected = hf.logprobs(prompt, folder)
    model.set_adapters((converted(folder, gguf_path(), tmp_path / "cache"),))
    found = logprobs(model, prompt)
    model.close()
    # The base has eight bits a weight.
    assert np.corrcoef(found, expected)[0, 1] > 0.995
    assert np.corrcoef(hf.logprobs(prompt), expected)[0, 1] < 0.95


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_of_the_table_is_converted_rightly(tmp_path: Path, family: Family) -> None:
    hf = Reference(family.model())
    path = family.write(hf.model, tmp_path / f"{family.architecture}.gguf")
    model = opened(path, slots=1, context=256, kv_type="f32", flash_attention=False)
    prompt = [256, *b"The hearth is warm, and the night outside is cold and long"]
    base = logprobs(model, prompt)
    # ggml looks the GELU of Gemma up in a table of half floats.
    assert np.abs(base - hf.logprobs(prompt)).max() < 5e-3
    parts = [part for part in PARTS if any(part in name for name, _ in hf.model.named_modules())]
    targets = parts if hf.model.config.tie_word_embeddings else [*parts, "lm_head", "embed_tokens"]
    folder = hf.random_adapter(tmp_path / "adapter", r=4, lora_alpha=8, target_modules=targets)
    expected = hf.logprobs(prompt, folder)
    model.set_adapters((converted(folder, path, tmp_path / "cache"),))
    found = logprobs(model, prompt)
    model.close()
    assert np.abs(expected - base).max() > 1.0
    assert np.abs(found - expected).max() < 5e-3

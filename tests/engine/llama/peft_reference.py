"""PEFT and transformers as the measure: models with adapters put on, and random models written as GGUF too."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from benchmarks.weights import add_tokenizer, finish
from engine.library.conversions import Conversions
from engine.library.gguf import read_header
from engine.library.lora import base_of
from engine.library.peft import read_peft
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.types import AdapterRef
from tests.engine.llama.driving import distribution

PARTS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
VOCABULARY = 258
Scores = NDArray[np.float64]


def converted(folder: Path, model: Path, cache: Path) -> AdapterRef:
    """The PEFT adapter in `folder`, converted for the GGUF file `model`."""
    base = base_of(model.stem, [read_header(model)])
    return AdapterRef(str(Conversions(cache).gguf_of(read_peft(folder), base)))


def logprobs(model: LlamaBackend, tokens: list[int]) -> Scores:
    """Of every token of the vocabulary, in its order, after `tokens`."""
    found = distribution(model, tokens)
    return np.array([found[token] for token in range(len(found))])


class Reference:
    """A causal model of transformers, with adapters of PEFT put on and taken off."""

    def __init__(self, model: Any) -> None:
        self.peft: Any = importlib.import_module("peft")
        self.torch: Any = importlib.import_module("torch")
        self.model = model.eval()

    def logprobs(self, tokens: list[int], adapter: Path | None = None) -> Scores:
        model = self.model
        if adapter is not None:
            model = self.peft.PeftModel.from_pretrained(self.model, adapter).eval()
        with self.torch.inference_mode():
            logits = model(self.torch.tensor([tokens])).logits[0, -1]
        if adapter is not None:
            model.unload()
        found: Scores = self.torch.log_softmax(logits.double(), -1).numpy()
        return found

    def random_adapter(self, folder: Path, *, seed: int = 0, dtype: str = "float32", **config: Any) -> Path:
        """An adapter with random numbers in both factors, saved by PEFT itself."""
        self.torch.manual_seed(seed)
        model = self.peft.get_peft_model(self.model, self.peft.LoraConfig(task_type="CAUSAL_LM", **config))
        for name, weight in model.named_parameters():
            if "lora_" in name:
                self.torch.nn.init.normal_(weight, std=0.1)
                weight.data = weight.data.to(getattr(self.torch, dtype))
        model.save_pretrained(folder)
        model.unload()
        return folder


class Family:
    """One family of models: its class in transformers, and what its GGUF has of its own."""

    def __init__(
        self,
        name: str,
        architecture: str,
        *,
        interleaves: bool = False,
        norms: Mapping[str, str] = {},
        norm_shift: float = 0.0,
        config: Mapping[str, Any] = {},
        metadata: Mapping[str, float] = {},
    ) -> None:
        self.name, self.architecture, self.interleaves = name, architecture, interleaves
        self.norms, self.norm_shift = {**_NORMS, **norms}, norm_shift
        self.config, self.metadata = config, metadata

    def model(self) -> Any:
        """A random model of 2 layers, 4 heads of 16 and 2 heads of keys."""
        torch: Any = importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
        torch.manual_seed(0)
        sizes = {
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 16, "vocab_size": VOCABULARY, "max_position_embeddings": 512,
            "pad_token_id": None, "bos_token_id": 256, "eos_token_id": 257, "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        }  # fmt: skip
        kind = "Gemma3Text" if self.name == "Gemma3" else self.name
        config = getattr(transformers, f"{kind}Config")(**{**sizes, **self.config})
        model = getattr(transformers, f"{self.name}ForCausalLM")(config).float()
        for name, weight in model.named_parameters():
            torch.nn.init.normal_(weight, std=0.2 if weight.ndim == 2 else 0.1)
            if "norm" in name:
                weight.data += 1.0 - self.norm_shift
        return model

    def write(self, model: Any, path: Path) -> Path:
        """`model` as a GGUF file in float32. Layout as in llama.cpp's converters."""
        config = model.config
        writer = gguf.GGUFWriter(path, self.architecture)
        writer.add_context_length(512)
        writer.add_embedding_length(64)
        writer.add_block_count(2)
        writer.add_feed_forward_length(128)
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        writer.add_key_length(16)
        writer.add_value_length(16)
        writer.add_rope_dimension_count(16)
        writer.add_rope_freq_base(10_000.0)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_vocab_size(VOCABULARY)
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        for key, value in self.metadata.items():
            add: Any = writer.add_uint32 if isinstance(value, int) else writer.add_float32
            add(f"{self.architecture}.{key}", value)
        add_tokenizer(writer, VOCABULARY)
        for name, weight in model.state_dict().items():
            if name == "lm_head.weight" and config.tie_word_embeddings:
                continue
            writer.add_tensor(self._tensor(name), self._laid_out(name, weight.numpy()))
        finish(writer)
        return path

    def _tensor(self, name: str) -> str:
        module, _, kind = name.rpartition(".")
        if module in _TOP:
            return f"{_TOP[module]}.{kind}"
        _, _, layer, part = module.split(".", 3)
        known = {**_MATRICES, **self.norms}
        return f"blk.{layer}.{known[part]}.{kind}"

    def _laid_out(self, name: str, weight: NDArray[Any]) -> NDArray[Any]:
        if "norm" in name:
            return weight + np.float32(self.norm_shift)
        heads = 4 if "q_proj" in name else 2 if "k_proj" in name else 0
        if not (self.interleaves and heads):
            return weight
        pairs = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weight.shape))


_TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_MATRICES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}
_SANDWICH = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
FAMILIES = [
    Family("Llama", "llama", interleaves=True),
    Family("Mistral", "llama", interleaves=True, config={"sliding_window": None}),
    Family("SmolLM3", "smollm3", interleaves=True),
    Family(
        "Granite",
        "granite",
        interleaves=True,
        config={"logits_scaling": 2.0, "residual_multiplier": 0.5, "embedding_multiplier": 3.0,
                "attention_multiplier": 0.2},
        metadata={"logit_scale": 2.0, "residual_scale": 0.5, "embedding_scale": 3.0, "attention.scale": 0.2},
    ),
    Family("Arcee", "arcee", interleaves=True),
    Family("Qwen2", "qwen2"),
    Family("Qwen3", "qwen3"),
    Family("Gemma", "gemma", norm_shift=1.0, config={"tie_word_embeddings": True}),
    Family(
        "Gemma2",
        "gemma2",
        norms=_SANDWICH,
        norm_shift=1.0,
        config={"tie_word_embeddings": True, "query_pre_attn_scalar": 16, "sliding_window": 32},
        metadata={"attention.sliding_window": 32, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    ),
    Family(
        "Gemma3",
        "gemma3",
        norms=_SANDWICH,
        norm_shift=1.0,
        config={"tie_word_embeddings": True, "query_pre_attn_scalar": 16, "sliding_window": 32,
                "layer_types": ["sliding_attention", "full_attention"],
                "rope_parameters": {
                    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
                    "full_attention": {"rope_type": "default", "rope_theta": 10_000.0},
                }},
        metadata={"attention.sliding_window": 32, "attention.sliding_window_pattern": 2},
    ),
    Family("Olmo2", "olmo2", norms=_SANDWICH),
    Family("SeedOss", "seed_oss", norms={"post_attention_layernorm": "post_attention_norm"}),
]  # fmt: skip

"""Exports of one set of weights: a Hugging Face folder, a GGUF file, and adapters in PEFT and GGUF form."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, float16

from .gguf_file import Array, Sampling, write_adapter, write_model
from .lora import LoraShape
from .model import ModelShape
from .template import chat_template
from .tokenizer import CONTROL_TOKENS, TEXT_MARKERS

# What suits a model that knows little: free enough for a story, close enough for a fact.
SAMPLING = Sampling(temperature=0.4, top_k=40, top_p=0.9)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save_tensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    tensors = {name: weight.to(float16).contiguous() for name, weight in weights.items()}
    save_file(tensors, path, metadata={"format": "pt"})
    # safetensors writes files that only their owner may read.
    path.chmod(0o644)


def _config(shape: ModelShape, ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "torch_dtype": "float16",
        "dtype": "float16",
    }


def _tokenizer_files(folder: Path, tokenizer_json: Path, shape: ModelShape, ids: Mapping[str, int]) -> None:
    shutil.copyfile(tokenizer_json, folder / "tokenizer.json")
    added = {
        str(ids[token]): {"content": token, "lstrip": False, "normalized": False, "rstrip": False,
                          "single_word": False, "special": token in CONTROL_TOKENS}
        for token in (*CONTROL_TOKENS, *TEXT_MARKERS)
    }  # fmt: skip
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": added,
            "bos_token": None,
            **named,
            "add_bos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": shape.context,
            "chat_template": chat_template(),
        },
    )
    _write_json(folder / "special_tokens_map.json", named)
    (folder / "chat_template.jinja").write_text(chat_template(), encoding="utf-8")


def export_base(folder: Path, weights: Mapping[str, Tensor], shape: ModelShape, tokenizer_json: Path) -> None:
    """Write ``folder/hf`` (float16) and ``folder/ember-q8_0.gguf`` from the same weights."""
    hf = folder / "hf"
    hf.mkdir(parents=True, exist_ok=True)
    ids = json.loads(tokenizer_json.read_text(encoding="utf-8"))["model"]["vocab"]
    _tokenizer_files(hf, tokenizer_json, shape, ids)
    _write_json(hf / "config.json", _config(shape, ids))
    _write_json(
        hf / "generation_config.json",
        {
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "max_new_tokens": 256,
            "do_sample": True,
            **asdict(SAMPLING),
        },
    )
    _save_tensors(hf / "model.safetensors", weights)
    arrays: dict[str, Array] = {name: weight.float().numpy() for name, weight in weights.items()}
    write_model(folder / "ember-q8_0.gguf", arrays, shape, tokenizer_json, SAMPLING)


def export_adapter(
    folder: Path, name: str, weights: Mapping[str, Tensor], shape: ModelShape, lora: LoraShape
) -> None:
    """Write ``folder/<name>/`` in PEFT form and ``folder/<name>.gguf``."""
    peft = folder / name
    peft.mkdir(parents=True, exist_ok=True)
    _write_json(
        peft / "adapter_config.json",
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": "ember",
            "r": lora.rank,
            "lora_alpha": lora.alpha,
            "lora_dropout": 0.0,
            "target_modules": list(lora.targets),
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
        },
    )
    tensors = {f"base_model.model.{key}.weight": weight for key, weight in weights.items()}
    _save_tensors(peft / "adapter_model.safetensors", tensors)
    arrays: dict[str, Array] = {key: weight.float().numpy() for key, weight in weights.items()}
    write_adapter(folder / f"{name}.gguf", arrays, shape, f"ember {name}", float(lora.alpha))

"""Random LoRA adapters as PEFT saves them, for any model of the Llama writer; sound ones and others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.weights import Llama
from tests.weights.decoders import TINY

MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "somebody/tiny",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.05,
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "target_modules": ["q_proj", "v_proj"],
}
Tensors = dict[str, NDArray[Any]]


def lora_tensors(
    shape: Llama = TINY, *, targets: tuple[str, ...] = tuple(MODULES), rank: int = 4, seed: int = 1
) -> Tensors:
    """Factors by their names in PEFT: `…lora_A.weight` [rank, inputs] and `…lora_B.weight` [outputs, rank]."""
    rng = np.random.default_rng(seed)
    found: Tensors = {}
    for matrix, rows, columns, deviation in shape.matrices():
        block, _, part = matrix.rpartition(".")
        if part in targets:
            layer = block.removeprefix("blk.")
            module = f"base_model.model.model.layers.{layer}.{MODULES[part]}"
            down = rng.standard_normal((rank, columns), np.float32) * np.float32(deviation)
            found[f"{module}.lora_A.weight"] = down
            found[f"{module}.lora_B.weight"] = rng.standard_normal((rows, rank), np.float32)
    return found


def write_peft(
    folder: Path,
    tensors: Mapping[str, NDArray[Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    bfloat16: bool = False,
) -> Path:
    """Write `folder` with `tensors` (of the tiny Llama if None) and `config` over a sound one; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    slabs = {}
    for name, values in (lora_tensors() if tensors is None else tensors).items():
        kind = {"f4": "F32", "f2": "F16"}[values.dtype.str[1:]]
        data = values.tobytes()
        if bfloat16:
            # Cut, not rounded: what is left is exact.
            kind, data = "BF16", values.astype("<f4").tobytes()
            data = b"".join(data[at + 2 : at + 4] for at in range(0, len(data), 4))
        slabs[name] = (kind, values.shape, data)
    write_safetensors(folder / "adapter_model.safetensors", slabs)
    return folder


def write_safetensors(path: Path, slabs: Mapping[str, tuple[str, Sequence[int], bytes]]) -> Path:
    """A safetensors file of type, shape and bytes by name. Format: the safetensors specification."""
    header: dict[str, Any] = {}
    end = 0
    for name, (kind, shape, data) in slabs.items():
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    content = (data for _, _, data in slabs.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(content))
    return path

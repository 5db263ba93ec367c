"""Random LoRA adapters as mlx-lm saves them, made by its own layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PARAMETERS: dict[str, Any] = {"rank": 4, "scale": 2.0, "dropout": 0.05}


def write_mlx_adapter(
    folder: Path,
    model: Path,
    *,
    seed: int = 1,
    kind: str = "lora",
    layers: int = 2,
    config: dict[str, Any] | None = None,
    **parameters: Any,
) -> Path:
    """An adapter over the last `layers` layers of the model in the folder `model`; `config` is laid over its own."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    said = {**PARAMETERS, **parameters}
    made = load_model(model)[0]
    made.freeze()
    linear_to_lora_layers(made, layers, said, use_dora=kind == "dora")
    mx.random.seed(seed)
    arrays = {
        name: mx.random.normal(array.shape, scale=0.3)
        for name, array in tree_flatten(made.trainable_parameters())
    }
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / "adapters.safetensors"), arrays)
    # With what its trainer writes beside: the arguments of the run.
    whole = {"fine_tune_type": kind, "num_layers": layers, "lora_parameters": said, "model": str(model)}
    whole |= {"train": True, "test": False, "optimizer": "adam", "iters": 100, **(config or {})}
    (folder / "adapter_config.json").write_text(json.dumps(whole))
    return folder

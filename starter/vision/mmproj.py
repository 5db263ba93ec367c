"""Write vision tower and projector as the ``mmproj`` GGUF that llama.cpp's mtmd reads beside the language model.

Source of keys and names: llama.cpp's ``gguf-py`` constants and the graph of its LLaVA (``tools/mtmd/models/llava``):
without ``feature_layer`` it stops one layer early, and it applies a closing norm wherever the file has one, so this
file names the last layer and leaves that norm out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from starter.gguf_file import Array

from .network import TowerShape, VisionShape

_TOWER = "model.vision_tower."
_PROJECTOR = "model.multi_modal_projector."
_WHOLE = {
    "embeddings.patch_embedding.weight": "v.patch_embd.weight",
    "embeddings.patch_embedding.bias": "v.patch_embd.bias",
    "embeddings.position_embedding.weight": "v.position_embd.weight",
}
_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.out_proj": "attn_out",
    "layer_norm1": "ln1",
    "layer_norm2": "ln2",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
}
# As in the first LLaVA, where the activation between them counts as number 1.
_PLACE = {"linear_1": 0, "linear_2": 2}


def mmproj_name(name: str) -> str | None:
    """The GGUF name of a parameter of transformers' Llava; None for what this file leaves out.

    Raises KeyError for a parameter of the tower that SigLIP does not have.
    """
    if name.startswith(_PROJECTOR):
        layer, kind = name.removeprefix(_PROJECTOR).split(".")
        return f"mm.{_PLACE[layer]}.{kind}"
    if not name.startswith(_TOWER) or "post_layernorm" in name:
        return None
    name = name.removeprefix(_TOWER)
    if name in _WHOLE:
        return _WHOLE[name]
    layer, rest = name.removeprefix("encoder.layers.").split(".", 1)
    part, kind = rest.rsplit(".", 1)
    return f"v.blk.{layer}.{_LAYER[part]}.{kind}"


def write_mmproj(
    path: Path,
    weights: Mapping[str, Array],
    shape: VisionShape,
    *,
    name: str,
    mean: tuple[float, float, float],
    deviation: tuple[float, float, float],
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F16,
) -> None:
    """The file at ``path``; matrices in ``kind`` (F16 or F32), all else in F32.

    ``weights`` are all parameters of the model; ``mean`` and ``deviation`` are those of the pixels, in 0…1.
    """
    tower: TowerShape = shape.tower
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(name)
    writer.add_license("apache-2.0")
    f16 = kind == gguf.GGMLQuantizationType.F16
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if f16 else gguf.LlamaFileType.ALL_F32)
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_use_gelu(True)
    writer.add_vision_image_size(tower.image)
    writer.add_vision_patch_size(tower.patch)
    writer.add_vision_embedding_length(tower.hidden)
    writer.add_vision_feed_forward_length(tower.ffn)
    writer.add_vision_block_count(tower.layers)
    writer.add_vision_head_count(tower.heads)
    writer.add_vision_attention_layernorm_eps(tower.norm_eps)
    writer.add_vision_projection_dim(shape.text.hidden)
    writer.add_vision_image_mean(mean)
    writer.add_vision_image_std(deviation)
    writer.add_array("clip.vision.feature_layer", [tower.layers])
    for full, weight in weights.items():
        tensor = mmproj_name(full)
        if tensor is None:
            continue
        # mtmd keeps positions and everything with one axis in float32.
        halved = f16 and weight.ndim > 1 and "position" not in full
        writer.add_tensor(tensor, np.ascontiguousarray(weight, np.float16 if halved else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

"""A LLaVA of random weights in all forms: a model that sees, for transformers and for llama.cpp's mtmd."""

from __future__ import annotations

from pathlib import Path


def tiny_llava(folder: Path, *, seed: int = 1, plain: bool = True) -> tuple[Path, Path, Path]:
    """The Hugging Face folder, the GGUF of the language part and the mmproj GGUF, all of the same weights.

    The form, tokenizer and template of ember-vision: a picture is padded to a square, sized to 64 x 64 pixels
    and takes 64 tokens. All in float32; without `plain` float16, Q8_0 and F16 as the shipped model is.
    """
    import torch

    from starter.model import ModelShape
    from starter.vision.export import export
    from starter.vision.network import TowerShape, VisionShape, new_model

    shape = VisionShape(
        tower=TowerShape(hidden=64, layers=2, heads=4, ffn=128),
        text=ModelShape(vocab_size=4097, hidden=64, layers=2, heads=4, kv_heads=2, ffn=128),
    )
    model = new_model(shape, eos=2, pad=0, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Small weights all answer alike, and then nothing hangs on the picture.
            if weight.dim() > 1:
                weight.normal_(0, 1.0 if "embed" in name else 1.5 * weight[0].numel() ** -0.5)
            elif name.endswith("bias"):
                weight.normal_(0, 0.1)
    return export(folder, model, shape, name=f"tiny-llava-{seed}", plain=plain)

"""One set of weights in all forms: a Hugging Face folder, a GGUF of the language part, an mmproj GGUF of the rest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gguf
import torch
from torch import nn

from starter import hf_path as ember_hf
from starter.gguf_file import Array, Sampling, write_model
from starter.tokenizer import TEXT_MARKERS

from .mmproj import write_mmproj
from .network import VisionShape

IMAGE_TOKEN = "<image>"
TEMPLATE_FILE = Path(__file__).parent / "chat_template.jinja"
# CLIP's (Radford et al., 2021): mtmd pads a picture that is not square with this mean, and with no other.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
# It names what it sees, and there is one right answer.
SAMPLING = Sampling(temperature=0.2, top_k=20, top_p=0.9)
_LANGUAGE = "model.language_model."


def chat_template() -> str:
    """The template's text as it is stored in the exports: pictures of a message first, then its text."""
    return TEMPLATE_FILE.read_text(encoding="utf-8").rstrip("\n")


def tokenizer_json() -> str:
    """Ember's tokenizer with one more control token, the placeholder of a picture."""
    table = json.loads((ember_hf() / "tokenizer.json").read_text(encoding="utf-8"))
    place = len(table["model"]["vocab"])
    table["model"]["vocab"][IMAGE_TOKEN] = place
    table["added_tokens"].append(
        {
            "id": place, "content": IMAGE_TOKEN, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True,
        }
    )  # fmt: skip
    return json.dumps(table, ensure_ascii=False)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tokenizer(folder: Path, shape: VisionShape) -> None:
    text = tokenizer_json()
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    flags = ("content", "lstrip", "normalized", "rstrip", "single_word")
    added = {
        str(token["id"]): {flag: token[flag] for flag in flags}
        | {"special": token["content"] not in TEXT_MARKERS}
        for token in json.loads(text)["added_tokens"]
    }
    named = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "added_tokens_decoder": added,
            "bos_token": None,
            **named,
            "image_token": IMAGE_TOKEN,
            "add_bos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": shape.text.context,
            "chat_template": chat_template(),
        },
    )
    _write_json(folder / "special_tokens_map.json", {**named, "image_token": IMAGE_TOKEN})
    (folder / "chat_template.jinja").write_text(chat_template(), encoding="utf-8")


def _write_processor(folder: Path, shape: VisionShape) -> None:
    side = {"height": shape.tower.image, "width": shape.tower.image}
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "LlavaImageProcessor",
            "processor_class": "LlavaProcessor",
            "do_convert_rgb": True,
            "do_pad": True,
            "do_resize": True,
            "size": side,
            "resample": 3,
            "do_center_crop": False,
            "crop_size": side,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": MEAN,
            "image_std": DEVIATION,
        },
    )
    _write_json(
        folder / "processor_config.json",
        {
            "processor_class": "LlavaProcessor",
            "patch_size": shape.tower.patch,
            "num_additional_image_tokens": 0,
            "vision_feature_select_strategy": "full",
            "image_token": IMAGE_TOKEN,
        },
    )


def export_hf(folder: Path, model: Any, shape: VisionShape, *, dtype: str = "float16") -> None:
    """The Hugging Face folder: weights in ``dtype``, configs, tokenizer, processor, chat template."""
    from transformers import LlavaForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        copy = LlavaForConditionalGeneration(model.config)
        copy.load_state_dict(model.state_dict())
        copy = copy.to(getattr(torch, dtype))
    copy.save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        # safetensors writes files that only their owner may read.
        path.chmod(0o644)
    _write_json(
        folder / "generation_config.json",
        {
            "eos_token_id": model.config.text_config.eos_token_id,
            "pad_token_id": model.config.text_config.pad_token_id,
            "max_new_tokens": 64,
            "do_sample": True,
            **asdict(SAMPLING),
        },
    )
    _write_tokenizer(folder, shape)
    _write_processor(folder, shape)


def export(
    folder: Path, model: nn.Module, shape: VisionShape, *, name: str = "ember-vision", plain: bool = False
) -> tuple[Path, Path, Path]:
    """Write ``hf/``, the language part and the mmproj to ``folder``; the paths of these three.

    ``plain`` writes everything in float32, else it is float16, Q8_0 and F16.
    """
    hf = folder / "hf"
    export_hf(hf, model, shape, dtype="float32" if plain else "float16")
    weights: dict[str, Array] = {
        key: value.detach().float().numpy() for key, value in model.state_dict().items()
    }
    language = folder / f"{name}-{'f32' if plain else 'q8_0'}.gguf"
    projector = folder / f"mmproj-{name}-{'f32' if plain else 'f16'}.gguf"
    kinds = gguf.GGMLQuantizationType
    write_model(
        language,
        {
            key.replace(_LANGUAGE, "model."): value
            for key, value in weights.items()
            if key.startswith(_LANGUAGE)
        },
        shape.text,
        hf / "tokenizer.json",
        SAMPLING,
        name=name,
        description="The tiny starter vision model of Hearth, for trying and testing",
        template=chat_template(),
        matrices=kinds.F32 if plain else kinds.Q8_0,
    )
    write_mmproj(
        projector,
        weights,
        shape,
        name=name,
        mean=MEAN,
        deviation=DEVIATION,
        kind=kinds.F32 if plain else kinds.F16,
    )
    return hf, language, projector

"""A LLaVA of random weights answers alike through transformers and through llama.cpp's mtmd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from starter.pictures import draw
from tests.weights import tiny_llava

pytest.importorskip("transformers")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return tiny_llava(tmp_path_factory.mktemp("llava"))


def test_the_features_of_a_picture_agree(exported: tuple[Path, Path, Path]) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from starter.vision.mtmd import Mtmd

    hf, language, mmproj = exported
    processor = AutoProcessor.from_pretrained(hf)
    model = AutoModelForImageTextToText.from_pretrained(hf, dtype=torch.float32).eval()
    other = Mtmd(language, mmproj)
    try:
        # As it is, made smaller, and made larger.
        for size in ((64, 64), (200, 200), (40, 40)):
            image = draw(1, size=size).image
            read = processor(images=image, text="<image>", return_tensors="pt")
            with torch.inference_mode():
                (ours,) = model.get_image_features(pixel_values=read["pixel_values"]).pooler_output
            theirs = other.features(image)
            assert theirs.shape == tuple(ours.shape) == (64, 64)
            alike = (ours.numpy() * theirs).sum(-1)
            alike /= np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
            assert alike.min() > 0.999
    finally:
        other.close()


def test_the_template_puts_pictures_before_the_words(exported: tuple[Path, Path, Path]) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(exported[0])
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "A star."}]
    text = processor.apply_chat_template(
        [*messages, {"role": "user", "content": "Sure?"}], add_generation_prompt=True
    )
    assert text == (
        "<|im_start|>user\n<image>What is this?<|im_end|>\n<|im_start|>assistant\nA star.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    )

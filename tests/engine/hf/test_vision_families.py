"""Every family that sees comes to what transformers makes of it with the family's own processor and template."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from engine.runtime.backends.base import Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.hf.processors import load_processor
from engine.runtime.worker.intake import Intake, Prepared
from engine.types import GenerationRequest, ImagePart, Message, TextPart
from tests.engine.hf.driving import go_on, insert, opened
from tests.weights.hf_vision import FAMILIES, write_hf_vision

BLIND = {"lfm2_vl", "paligemma", "mistral3"}
SERVED = [name for name in FAMILIES if name not in BLIND]
COUNT = 8

Content = tuple[bytes | str, ...]


def png(colour: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    image = Image.new("RGB", size, colour)
    image.paste("white", (5, 5, size[0] // 2, size[1] // 3))
    image.save(file, "PNG")
    return file.getvalue()


RED, BLUE = png("red", (70, 40)), png("blue", (33, 61))
PROMPTS: Sequence[Content] = (
    (RED, "What is it?"),
    ("first ", RED, " and then ", BLUE, " which?"),
    (BLUE, RED, "\nwhich?"),
)


class Answer(NamedTuple):
    """What transformers says: the length of the prompt, and the greedy tokens up to the first that is not clear."""

    length: int
    tokens: list[int]


class Bare:
    """transformers alone."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForImageTextToText

        self.processor = load_processor(folder, folder.name)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager").eval()

    def answer(self, content: Content) -> Answer:
        import torch

        parts = [
            {"type": "text", "text": each}
            if isinstance(each, str)
            else {"type": "image", "image": Image.open(io.BytesIO(each)).convert("RGB")}
            for each in content
        ]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": parts}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            out = self.model.generate(
                **inputs,
                max_new_tokens=COUNT,
                do_sample=False,
                eos_token_id=None,
                return_dict_in_generate=True,
                output_logits=True,
            )
        length = inputs["input_ids"].shape[1]
        clear = []
        for token, logits in zip(out.sequences[0, length:].tolist(), out.logits, strict=True):
            top = logits[0].topk(2).values
            if float(top[0] - top[1]) < 1e-3:
                break
            clear.append(token)
        return Answer(length, clear)


class Seeing(NamedTuple):
    backend: FolderBackend
    intake: Intake
    expected: dict[Content, Answer]

    def prepare(self, content: Content) -> Prepared:
        parts = tuple(ImagePart(data=each) if isinstance(each, bytes) else TextPart(each) for each in content)
        message = Message(role="user", content=parts)
        return self.intake.prepare(GenerationRequest(model="x", messages=(message,), max_tokens=COUNT))

    def holds(self, content: Content, found: list[int]) -> bool:
        expected = self.expected[content].tokens
        return len(expected) > 2 and found[: len(expected)] == expected


@pytest.fixture(scope="module", params=SERVED)
def seeing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeing]:
    pytest.importorskip("transformers")
    folder = write_hf_vision(tmp_path_factory.mktemp("vision") / request.param, request.param)
    backend = opened(folder, context=512)
    bare = Bare(folder)
    yield Seeing(backend, Intake(backend, 16), {each: bare.answer(each) for each in PROMPTS})
    backend.close()


def put(seeing: Seeing, prepared: Prepared, slot: int = 0) -> None:
    insert(seeing.backend, list(prepared.tokens), slot=slot, spans=prepared.spans)


@pytest.mark.parametrize("content", PROMPTS)
def test_a_picture_is_read_as_transformers_reads_it(seeing: Seeing, content: Content) -> None:
    prepared = seeing.prepare(content)
    assert len(prepared.tokens) == seeing.expected[content].length
    put(seeing, prepared)
    assert seeing.holds(content, go_on(seeing.backend, 0, len(prepared.tokens), COUNT))

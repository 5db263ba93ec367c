"""Every family that sees comes to what transformers makes of it with the family's own processor and template."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from engine.errors import Unsupported
from engine.runtime.backends.base import Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.hf.processors import load_processor
from engine.runtime.worker.intake import Intake, Prepared
from engine.types import GenerationRequest, ImagePart, Message, TextPart
from tests.engine.hf.driving import go_on, insert, opened
from tests.weights.hf_vision import FAMILIES, write_hf_vision

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

NOT_SERVED = {"lfm2_vl", "paligemma"}
SERVED = [name for name in FAMILIES if name not in NOT_SERVED]
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
OTHER: Content = ("first ", RED, " and ", BLUE, " why?")


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
        from transformers import ProcessorMixin

        parts = [
            {"type": "text", "text": each}
            if isinstance(each, str)
            else {"type": "image", "image": Image.open(io.BytesIO(each)).convert("RGB")}
            for each in content
        ]
        # SmolVLM's own asks about videos first.
        inputs = ProcessorMixin.apply_chat_template(
            self.processor,
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
    if request.param == "mistral3":
        pytest.importorskip("torchvision", reason="Pixtral's processor needs it.")
    folder = write_hf_vision(tmp_path_factory.mktemp("vision") / request.param, request.param)
    backend = opened(folder, context=512)
    bare = Bare(folder)
    yield Seeing(backend, Intake(backend, 16), {each: bare.answer(each) for each in (*PROMPTS, OTHER)})
    backend.close()


def put(seeing: Seeing, prepared: Prepared, slot: int = 0) -> None:
    insert(seeing.backend, list(prepared.tokens), slot=slot, spans=prepared.spans)


def counts(prepared: Prepared, size: int) -> Iterator[int]:
    """Parts of a prompt, `size` tokens each, less where a picture ends, and more where it has to be whole."""
    place, total = 0, len(prepared.tokens)
    while place < total:
        count = min(size, total - place)
        for span in prepared.spans:
            if span.whole and place < span.end and span.start < place + count:
                count = span.end - place
        yield count
        place += count


@pytest.mark.parametrize("content", PROMPTS)
def test_a_picture_is_read_as_transformers_reads_it(seeing: Seeing, content: Content) -> None:
    prepared = seeing.prepare(content)
    assert len(prepared.tokens) == seeing.expected[content].length
    put(seeing, prepared)
    assert seeing.holds(content, go_on(seeing.backend, 0, len(prepared.tokens), COUNT))


def test_the_pictures_matter(seeing: Seeing) -> None:
    one, other = (("Look: ", each, "What is it?") for each in (RED, png("green", (70, 40))))
    found = []
    for content in (one, other):
        prepared = seeing.prepare(content)
        put(seeing, prepared)
        found.append(go_on(seeing.backend, 0, len(prepared.tokens), COUNT))
    assert found[0] != found[1]


def test_pictures_in_a_batch_are_not_mixed_up(seeing: Seeing) -> None:
    words = seeing.backend.tokenize("Only words, and some more.", add_special=False, parse_special=False)
    insert(seeing.backend, words, slot=2)
    alone = go_on(seeing.backend, 2, len(words), COUNT)
    prompts = [seeing.prepare(content) for content in PROMPTS[:2]]
    for slot, prepared in enumerate(prompts):
        put(seeing, prepared, slot)
    insert(seeing.backend, words, slot=2)
    lengths = [*(len(prepared.tokens) for prepared in prompts), len(words)]
    found: list[list[int]] = [[], [], []]
    for step in range(COUNT):
        rows = [Row(slot, 1 if step else lengths[slot]) for slot in (1, 2, 0)]
        for row, drawn in zip(rows, seeing.backend.step(rows).sampled, strict=True):
            found[row.slot].append(drawn.token)
    for slot in range(3):
        seeing.backend.remove(slot)
    assert all(seeing.holds(content, found[slot]) for slot, content in enumerate(PROMPTS[:2]))
    assert found[2] == alone


@pytest.mark.parametrize("size", [1, 7])
def test_a_prompt_is_read_in_parts(seeing: Seeing, size: int) -> None:
    content = PROMPTS[1]
    prepared = seeing.prepare(content)
    put(seeing, prepared)
    for count in counts(prepared, size):
        result = seeing.backend.step([Row(0, count)])
    found = [result.sampled[0].token]
    assert seeing.holds(content, found + go_on(seeing.backend, 0, 1, COUNT - 1))


def test_what_was_read_is_shared(seeing: Seeing) -> None:
    content = PROMPTS[1]
    prepared = seeing.prepare(content)
    put(seeing, prepared)
    total = len(prepared.tokens)
    seeing.backend.step([Row(0, total)])
    ends = [span.end for span in prepared.spans]
    # Before, between and behind pictures, and rows or tiles of them.
    for place in sorted({prepared.spans[0].start, *ends[:2], *ends[-2:], ends[-1] + 2}):
        seeing.backend.share(0, 1, 0, place)
        put(seeing, prepared, 1)
        assert seeing.holds(content, go_on(seeing.backend, 1, total - place, COUNT)), place
    seeing.backend.remove(0)


def test_another_prompt_goes_on_from_a_picture(seeing: Seeing) -> None:
    backend = seeing.backend
    one, other = seeing.prepare(PROMPTS[1]), seeing.prepare(OTHER)
    known = next(
        place for place, pair in enumerate(zip(one.tokens, other.tokens, strict=False)) if len({*pair}) > 1
    )
    assert other.spans[0].end <= known < other.spans[-1].start
    shelf = backend.facts.capabilities.max_slots
    put(seeing, one)
    backend.step([Row(0, len(one.tokens))])
    backend.share(0, shelf, 0, known)
    backend.remove(0)
    state = bytes(backend.save(shelf, known))
    for again in (False, True):
        if again:
            backend.cut(shelf, 0)
            backend.restore(shelf, state, known)
        backend.share(shelf, 1, 0, known)
        put(seeing, other, 1)
        assert seeing.holds(OTHER, go_on(backend, 1, len(other.tokens) - known, COUNT))
    backend.cut(shelf, 0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_paligemma_has_no_eyes_here(tmp_path: Path, capfd: pytest.CaptureFixture[str], dtype: str) -> None:
    backend = opened(write_hf_vision(tmp_path / "paligemma", "paligemma"), dtype=dtype)
    assert backend.media is None
    assert backend.facts.capabilities.modalities == {"text"}
    assert "paligemma is used without its eyes: its words see" in capfd.readouterr().err
    backend.close()


def test_a_hybrid_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="lfm2_vl cannot be served"):
        opened(write_hf_vision(tmp_path / "lfm2_vl", "lfm2_vl"))


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_what_a_processor_lacks_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backend = opened(write_hf_vision(tmp_path / "mistral3", "mistral3"))
    assert backend.media is None
    assert "pip install torchvision" in capfd.readouterr().err
    backend.close()

"""Pictures with positions of their own (M-RoPE), and such as are seen both ways, as mtmd's own helper computes them."""

from __future__ import annotations

import ctypes
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp
import numpy as np
import pytest
from llama_cpp import mtmd_cpp
from PIL import Image

from engine.runtime.backends.base import Outcome, Row
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.runtime.worker.intake import Intake, Prepared
from engine.runtime.worker.prefix import common
from engine.types import GenerationRequest, ImagePart, Message, TextPart
from tests.engine.llama.driving import insert, opened
from tests.weights.gguf_vision import tiny_gemma_vision, tiny_qwen_vl

COUNT = 10
Content = tuple[bytes | str, ...]


def png(colour: str, size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    image = Image.new("RGB", size, colour)
    image.paste("white", (5, 5, size[0] // 2, size[1] // 3))
    image.save(file, "PNG")
    return file.getvalue()


RED, BLUE = png("red", (120, 64)), png("blue", (64, 96))
PROMPTS: Sequence[Content] = (
    (RED, "What is it?"),
    ("first ", RED, " and then ", BLUE, " which?"),
    (BLUE, RED, "which?"),
    ("first ", RED, " and ", BLUE, " why?"),
)


class Form(NamedTuple):
    """How a model writes a turn."""

    begin: str
    end: str
    trims: bool = False


QWEN = Form("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
GEMMA = Form("<|bos|><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", trims=True)


class Bare:
    """llama.cpp and mtmd alone: `mtmd_helper_eval_chunks`, and then the most probable token again and again."""

    def __init__(self, model: Path, projector: Path, form: Form) -> None:
        self._form = form
        self._llama = llama_cpp.Llama(
            str(model), n_ctx=512, n_batch=512, n_threads=1, n_threads_batch=1, verbose=False
        )
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.print_timings, params.warmup = False, 1, False, False
        self._eyes = mtmd_cpp.mtmd_init_from_file(os.fsencode(projector), self._llama.model, params)
        assert self._eyes

    def answer(self, content: Content) -> tuple[int, list[int]]:
        """Tokens of the prompt, and what follows it up to the first token that is not clear."""
        api, context = llama_cpp, self._llama.ctx
        api.llama_memory_clear(api.llama_get_memory(context), True)
        marker = mtmd_cpp.mtmd_default_marker().decode()
        said = [
            marker if isinstance(each, bytes) else each.strip() if self._form.trims else each
            for each in content
        ]
        text = (self._form.begin + "".join(said) + self._form.end).encode()
        given = mtmd_cpp.mtmd_input_text(text, len(text), not text.startswith(b"<|bos|>"), True)
        images = [Image.open(io.BytesIO(each)).convert("RGB") for each in content if isinstance(each, bytes)]
        pixels = [
            (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
            for data in (each.tobytes() for each in images)
        ]
        bitmaps = [
            mtmd_cpp.mtmd_bitmap_init(*each.size, data) for each, data in zip(images, pixels, strict=True)
        ]
        chunks = mtmd_cpp.mtmd_input_chunks_init()
        row = (mtmd_cpp.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
        assert mtmd_cpp.mtmd_tokenize(self._eyes, chunks, ctypes.byref(given), row, len(bitmaps)) == 0
        place = ctypes.c_int32()
        code = mtmd_cpp.mtmd_helper_eval_chunks(
            self._eyes, context, chunks, 0, 0, 512, True, ctypes.byref(place)
        )
        assert code == 0
        length = mtmd_cpp.mtmd_helper_get_n_tokens(chunks)
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        for bitmap in bitmaps:
            mtmd_cpp.mtmd_bitmap_free(bitmap)
        return length, self._greedy(place.value)

    def _greedy(self, place: int) -> list[int]:
        api, context = llama_cpp, self._llama.ctx
        vocabulary = api.llama_model_get_vocab(self._llama.model)
        ends = [api.llama_vocab_is_eog(vocabulary, token) for token in range(self._llama.n_vocab())]
        batch: Any = api.llama_batch_init(1, 0, 1)
        found: list[int] = []
        while len(found) < COUNT:
            row = np.ctypeslib.as_array(api.llama_get_logits_ith(context, -1), (self._llama.n_vocab(),))
            logits = np.where(ends, -np.inf, row)
            second, first = np.argsort(logits)[-2:]
            if logits[first] - logits[second] < 5e-3:
                break
            found.append(int(first))
            batch.n_tokens, batch.token[0], batch.pos[0] = 1, int(first), place
            batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, True
            assert api.llama_decode(context, batch) == 0
            place += 1
        api.llama_batch_free(batch)
        return found

    def close(self) -> None:
        mtmd_cpp.mtmd_free(self._eyes)
        self._llama.close()


class Seeing(NamedTuple):
    backend: LlamaBackend
    intake: Intake
    expected: dict[Content, tuple[int, list[int]]]

    def prepare(self, content: Content) -> Prepared:
        parts = tuple(ImagePart(data=each) if isinstance(each, bytes) else TextPart(each) for each in content)
        message = Message(role="user", content=parts)
        return self.intake.prepare(GenerationRequest(model="x", messages=(message,), max_tokens=COUNT))

    def holds(self, content: Content, found: list[int]) -> bool:
        _, expected = self.expected[content]
        return len(expected) > 2 and found[: len(expected)] == expected


@pytest.fixture(scope="module", params=["qwen2vl", "qwen2.5vl", "qwen3vl", "gemma3", "gemma3-window"])
def seeing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeing]:
    folder = tmp_path_factory.mktemp("vision")
    form = QWEN
    match request.param:
        case "qwen2vl" | "qwen2.5vl" | "qwen3vl" as kind:
            model, projector = tiny_qwen_vl(folder, kind)
        case _:
            # A window shorter than a picture, and one that holds some of the words before it too.
            model, projector = tiny_gemma_vision(
                folder, window=10 if request.param == "gemma3-window" else 32
            )
            form = GEMMA
    bare = Bare(model, projector, form)
    expected = {each: bare.answer(each) for each in PROMPTS}
    bare.close()
    backend = opened(model, projector, context=512, slots=3)
    yield Seeing(backend, Intake(backend, 16), expected)
    backend.close()


def put(seeing: Seeing, prepared: Prepared, slot: int = 0) -> None:
    insert(seeing.backend, list(prepared.tokens), slot=slot, spans=prepared.spans, ignore_eos=True)


def rows(prepared: Prepared, size: int, start: int = 0) -> Iterator[int]:
    """Parts of a prompt from `start` on: words or a picture, `size` tokens at most, more of a picture that is whole."""
    place, total = start, len(prepared.tokens)
    while place < total:
        span = next((each for each in prepared.spans if each.end > place), None)
        count = (total if span is None else span.start) - place
        if span is not None and span.start <= place:
            count = span.end - place
            size_here = count if span.whole else size
        else:
            size_here = size
        yield min(count, size_here)
        place += min(count, size_here)


def go_on(seeing: Seeing, prepared: Prepared, slot: int = 0, start: int = 0, size: int = 512) -> list[int]:
    backend = seeing.backend
    for count in rows(prepared, size, start):
        result = backend.step([Row(slot, count)])
        assert result.outcome is Outcome.OK
    found = [result.sampled[0].token]
    while len(found) < COUNT:
        found.append(backend.step([Row(slot, 1)]).sampled[0].token)
    backend.remove(slot)
    return found


@pytest.mark.parametrize("content", PROMPTS)
def test_a_picture_is_computed_as_mtmd_computes_it(seeing: Seeing, content: Content) -> None:
    prepared = seeing.prepare(content)
    assert len(prepared.tokens) == seeing.expected[content][0]
    put(seeing, prepared)
    assert seeing.holds(content, go_on(seeing, prepared))


def test_the_pictures_matter(seeing: Seeing) -> None:
    found = []
    for picture in (RED, png("green", (120, 64))):
        prepared = seeing.prepare(("Look: ", picture, "What is it?"))
        put(seeing, prepared)
        found.append(go_on(seeing, prepared))
    assert found[0] != found[1]


def test_a_prompt_is_computed_in_parts(seeing: Seeing) -> None:
    prepared = seeing.prepare(PROMPTS[1])
    put(seeing, prepared)
    assert seeing.holds(PROMPTS[1], go_on(seeing, prepared, size=5))


def test_pictures_in_a_batch_are_not_mixed_up(seeing: Seeing) -> None:
    prompts = [seeing.prepare(content) for content in PROMPTS[:3]]
    for slot, prepared in enumerate(prompts):
        put(seeing, prepared, slot)
    left = [list(rows(prepared, 512)) for prepared in prompts]
    found: list[list[int]] = [[], [], []]
    while min(map(len, found)) < COUNT:
        step = [Row(slot, left[slot].pop(0) if left[slot] else 1) for slot in (2, 0, 1)]
        for drawn in seeing.backend.step(step).sampled:
            found[drawn.slot].append(drawn.token)
    for slot in range(3):
        seeing.backend.remove(slot)
    assert all(seeing.holds(content, found[slot]) for slot, content in enumerate(PROMPTS[:3]))


def test_what_was_read_is_shared(seeing: Seeing) -> None:
    content = PROMPTS[1]
    prepared = seeing.prepare(content)
    put(seeing, prepared)
    for count in rows(prepared, 512):
        seeing.backend.step([Row(0, count)])
    first, second = prepared.spans
    # Before, between and behind pictures.
    for place in (first.start, first.end, second.start - 1, second.start, second.end, second.end + 2):
        put(seeing, prepared, 1)
        seeing.backend.share(0, 1, 0, place)
        assert seeing.holds(content, go_on(seeing, prepared, 1, place)), place
    # And by way of a shelf, in two steps, cut back.
    shelf = seeing.backend.facts.capabilities.max_slots
    seeing.backend.share(0, shelf, 0, second.end)
    seeing.backend.share(0, shelf, second.end, len(prepared.tokens))
    seeing.backend.remove(0)
    for place in (second.end + 1, second.end, first.end + 1):
        seeing.backend.cut(shelf, place)
        put(seeing, prepared, 2)
        seeing.backend.share(shelf, 2, 0, place)
        assert seeing.holds(content, go_on(seeing, prepared, 2, place)), place
    seeing.backend.cut(shelf, 0)


def test_another_prompt_goes_on_from_a_picture(seeing: Seeing) -> None:
    one, other = seeing.prepare(PROMPTS[1]), seeing.prepare(PROMPTS[3])
    pairs = zip(one.tokens, other.tokens, strict=False)
    known = next(place for place, pair in enumerate(pairs) if len({*pair}) > 1)
    assert other.spans[0].end <= known < other.spans[1].start
    shelf = seeing.backend.facts.capabilities.max_slots
    put(seeing, one)
    for count in rows(one, 512):
        seeing.backend.step([Row(0, count)])
    seeing.backend.share(0, shelf, 0, known)
    seeing.backend.remove(0)
    put(seeing, other, 1)
    seeing.backend.share(shelf, 1, 0, known)
    assert seeing.holds(PROMPTS[3], go_on(seeing, other, 1, known))
    seeing.backend.cut(shelf, 0)


def test_a_sequence_is_cut_back_to_a_picture(seeing: Seeing) -> None:
    """As a guess that was wrong, and as an answer of which some is kept."""
    prepared = seeing.prepare(PROMPTS[1])
    put(seeing, prepared)
    for count in rows(prepared, 512):
        result = seeing.backend.step([Row(0, count)])
    found = [result.sampled[0].token]
    while len(found) < COUNT:
        drawn = seeing.backend.step([Row(0, 1, (found[-1] ^ 1, 3))]).sampled
        found += [each.token for each in drawn]
    seeing.backend.remove(0)
    assert seeing.holds(PROMPTS[1], found)


def test_a_step_that_is_broken_off_forgets_no_picture(
    seeing: Seeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very first one: then the sequence is as empty as one that has left its slot."""
    if seeing.backend._projector is None or not seeing.backend.facts.capabilities.cancel_in_prefill:
        pytest.skip("Its steps cannot be broken off.")
    prepared = seeing.prepare(PROMPTS[1])
    put(seeing, prepared)
    flag = seeing.backend._flag
    with monkeypatch.context() as patch:
        # As an interrupt that comes in the middle of the step, not before it.
        patch.setattr(flag, "take", lambda: False)
        flag.raise_()
        assert seeing.backend.step([Row(0, prepared.spans[0].start)]).outcome is Outcome.INTERRUPTED
    assert flag.take()
    assert seeing.holds(PROMPTS[1], go_on(seeing, prepared))


def test_a_shelf_knows_its_own_pictures(seeing: Seeing) -> None:
    """And not those of the shelf from which it has the words before them."""
    one, other = seeing.prepare(PROMPTS[0]), seeing.prepare(PROMPTS[3])
    known = common(np.array(one.tokens, np.int32), np.array(other.tokens, np.int32))
    assert 0 < known <= min(one.spans[0].start, other.spans[0].start)
    first = seeing.backend.facts.capabilities.max_slots
    for slot, prepared in enumerate((one, other)):
        put(seeing, prepared, slot)
        for count in rows(prepared, 512):
            seeing.backend.step([Row(slot, count)])
    seeing.backend.share(0, first, 0, len(one.tokens))
    seeing.backend.share(first, first + 1, 0, known)
    seeing.backend.share(1, first + 1, known, len(other.tokens))
    seeing.backend.remove(0)
    seeing.backend.remove(1)
    second = other.spans[1]
    for place in (second.end + 2, second.end, second.start, other.spans[0].end + 1):
        put(seeing, other, 2)
        seeing.backend.share(first + 1, 2, 0, place)
        assert seeing.holds(PROMPTS[3], go_on(seeing, other, 2, place)), place
    seeing.backend.cut(first, 0)
    seeing.backend.cut(first + 1, 0)

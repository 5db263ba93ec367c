"""Texts become vectors: the same alone and in company, in one piece and in many, and the chat never notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import ContextOverflow, InsufficientMemory, InternalError, InvalidRequest, ModelNotFound
from engine.runtime.backends.base import Row
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.types import AdapterRef
from tests.engine.llama.driving import generate, insert, opened, prefill
from tests.engine.llama.embedding import Reader, pooled_by_the_library
from tests.tiers import examples
from tests.weights import (
    tiny_adapter,
    tiny_bert,
    tiny_embedder,
    tiny_gemma,
    tiny_hybrid,
    tiny_llama,
    tiny_mamba,
)

TEXTS = (
    "the hearth is warm",
    "cold",
    "night and snow " * 20,
    "zzz",
    "the hearth is cold and the night is warm",
)
Load = Callable[..., Reader]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    loaded: list[LlamaBackend] = []
    readers: list[Reader] = []

    def load(path: Path, *, context: int = 512, **options: Any) -> Reader:
        loaded.append(opened(path, slots=2, context=context, batch=256))
        readers.append(Reader(loaded[-1], **options))
        return readers[-1]

    yield load
    for reader in readers:
        reader.embedder.release()
    for model in loaded:
        model.close()


@pytest.fixture(scope="module")
def llama_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"), context=4096)


# ggml looks a GELU up in a table of half floats, where a rounding may be a whole step.
TOLERANCE = {tiny_gemma: 2e-3, tiny_bert: 2e-3}


def close(found: Any, expected: Any, tolerance: float = 2e-3) -> bool:
    return bool(np.abs(np.asarray(found) - np.asarray(expected)).max() < tolerance)


# --- the numbers


@pytest.mark.parametrize("make", [tiny_bert, tiny_embedder, tiny_llama, tiny_gemma, tiny_mamba, tiny_hybrid])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "none"])
def test_a_text_is_read_alike_alone_and_in_company(
    load: Load, tmp_path: Path, make: Callable[[Path], Path], pooling: str
) -> None:
    reader = load(make(tmp_path))
    alone = [reader.vectors(text, pooling=pooling)[0] for text in TEXTS]
    together = reader.vectors(*TEXTS, pooling=pooling)
    tolerance = TOLERANCE.get(make, 2e-5)
    assert all(close(one, other, tolerance) for one, other in zip(alone, together, strict=True))
    # A first token that sees nothing else is the same in all texts.
    assert pooling == "cls" or len({each.tobytes() for each in alone}) == len(TEXTS)


@pytest.mark.parametrize("make", [tiny_bert, tiny_embedder])
def test_half_floats_in_between_turn_a_vector_by_next_to_nothing(
    load: Load, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    exact, usual = load(make(tmp_path)), load(make(tmp_path), flash_attention=True)
    for one, other in zip(exact.vectors(*TEXTS), usual.vectors(*TEXTS), strict=True):
        assert not close(one, other, 1e-6)
        assert np.corrcoef(one[0], other[0])[0, 1] > 0.99999


@pytest.mark.parametrize("make", [tiny_bert, tiny_embedder, tiny_gemma, tiny_mamba])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_pooling_is_that_of_the_library(
    load: Load, tmp_path: Path, make: Callable[[Path], Path], pooling: str
) -> None:
    reader = load(make(tmp_path))
    for text, found in zip(TEXTS, reader.vectors(*TEXTS, pooling=pooling), strict=True):
        tokens = reader.job(text).inputs[0]
        expected = pooled_by_the_library(reader.backend, tokens, pooling)
        assert close(found[0], expected, TOLERANCE.get(make, 2e-5))


def test_pooled_vectors_are_made_of_those_of_the_tokens(load: Load, tmp_path: Path) -> None:
    for make in (tiny_bert, tiny_embedder):
        reader = load(make(tmp_path))
        of_tokens = reader.vectors(*TEXTS, pooling="none")
        assert [len(rows) for rows in of_tokens] == [len(tokens) for tokens in reader.job(*TEXTS).inputs]
        for rows, mean, first, last in zip(
            of_tokens,
            *(reader.vectors(*TEXTS, pooling=pooling) for pooling in ("mean", "cls", "last")),
            strict=True,
        ):
            assert close(mean[0], np.mean(rows, axis=0, dtype=np.float64), 1e-5)
            assert close(first[0], rows[0], 1e-5)
            assert close(last[0], rows[-1], 1e-5)


def test_vectors_are_those_of_transformers(shared_data: Path, load: Load) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    models = shared_data / "models"
    reference = transformers.AutoModel.from_pretrained(models / "stories260K-hf", dtype=torch.float32).eval()
    reader = load(models / "stories260K-F16.gguf")
    texts = ["Once upon a time there was a girl.", "The dog ran.", "Lily likes to play " * 10]
    inputs = [reader.job(text).inputs[0] for text in texts]
    for tokens, mean, last in zip(
        inputs, reader.vectors(*texts, pooling="mean"), reader.vectors(*texts, pooling="last"), strict=True
    ):
        with torch.inference_mode():
            # Hidden states behind the last norm.
            states = reference(torch.tensor([list(tokens)])).last_hidden_state[0].numpy()
        # The GGUF has half floats.
        assert np.abs(states).max() > 1.0
        assert close(mean[0], states.mean(axis=0), 0.01)
        assert close(last[0], states[-1], 0.03)


@pytest.mark.parametrize("pooling", ["mean", "last", "none"])
def test_a_long_text_is_read_in_pieces_and_comes_out_the_same(
    load: Load, llama_file: Path, pooling: Literal["mean", "last", "none"]
) -> None:
    reader = load(llama_file, context=4096)
    tokens = [17 * place % 256 for place in range(3000)]
    job = reader.job(tokens, pooling=pooling, normalise=False)
    assert reader.run(job) >= 6
    (found,) = job.vectors()
    if pooling == "none":
        assert found.shape == (3000, 64)
        assert close(found[700:703], reader.vectors(tokens[:710], pooling="none")[0][700:703])
    else:
        assert close(found[0], pooled_by_the_library(reader.backend, tokens, pooling))


def test_an_encoder_reads_a_long_text_at_once(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_bert(tmp_path, context=2048), context=2048)
    short = reader.vectors("warm")[0]
    tokens = [5 + place % 60 for place in range(1800)]
    job = reader.job(tokens, normalise=False)
    assert reader.run(job) == 1
    assert close(job.vectors()[0][0], pooled_by_the_library(reader.backend, tokens, "mean"))
    assert close(reader.vectors("warm")[0], short), "a short one afterwards is as before"


def test_many_texts_share_their_steps(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_bert(tmp_path))
    jobs = [reader.job(*["the hearth is warm"] * 5) for _ in range(6)]
    assert reader.run(*jobs) == 1, "thirty texts of six tokens, of six requests"
    expected = reader.vectors("the hearth is warm", normalise=True)[0]
    assert all(close(vector, expected) for job in jobs for vector in job.vectors())


@settings(max_examples=examples(25))
@given(
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=12),
    pooling=st.sampled_from(["mean", "cls", "last"]),
    whole=st.booleans(),
)
def test_any_company_and_any_length(
    readers: tuple[Reader, Reader], lengths: list[int], pooling: str, whole: bool
) -> None:
    reader = readers[whole]
    texts = [[5 + (7 * place + length) % 60 for place in range(length)] for length in lengths]
    together = reader.vectors(*texts, pooling=pooling)
    for text, found in zip(texts, together, strict=True):
        assert close(found[0], pooled_by_the_library(reader.backend, text, pooling))


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory, llama_file: Path) -> Iterator[tuple[Reader, Reader]]:
    """A model that reads in pieces and one that reads whole texts."""
    folder = tmp_path_factory.mktemp("readers")
    models = [
        opened(path, slots=2, context=1024, batch=256)
        for path in (llama_file, tiny_bert(folder, context=1024))
    ]
    first, second = map(Reader, models)
    yield first, second
    for reader in (first, second):
        reader.embedder.release()
        reader.backend.close()


# --- what is asked for


def test_the_models_own_pooling_holds_unless_another_is_asked_for(load: Load, tmp_path: Path) -> None:
    for path, own in (
        (tiny_bert(tmp_path, pooling="cls"), "cls"),
        (tiny_bert(tmp_path, pooling="mean"), "mean"),
        (tiny_embedder(tmp_path), "last"),
        (tiny_llama(tmp_path), "mean"),
    ):
        reader = load(path)
        assert reader.embeddings("warm").pooling == own
        assert close(
            reader.vectors("warm the night")[0], reader.vectors("warm the night", pooling=own)[0], 1e-6
        )
        assert reader.embeddings("warm", pooling="last").pooling == "last"


def test_vectors_have_the_length_one_unless_told_otherwise(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_bert(tmp_path))
    raw = reader.vectors(*TEXTS)
    answer = reader.embeddings(*TEXTS)
    assert answer.dimensions == 64
    for vector, unscaled in zip(answer.vectors, raw, strict=True):
        unit = np.frombuffer(vector, "<f4")
        assert np.linalg.norm(unit) == pytest.approx(1.0, abs=1e-6)
        assert np.linalg.norm(unscaled) != pytest.approx(1.0, abs=1e-2)
        assert close(unit, unscaled[0] / np.linalg.norm(unscaled[0]), 1e-5)


def test_fewer_dimensions_are_the_first_ones_at_length_one(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_embedder(tmp_path))
    full = reader.vectors("warm")[0][0]
    answer = reader.embeddings("warm", dimensions=16)
    assert answer.dimensions == 16
    assert close(np.frombuffer(answer.vectors[0], "<f4"), full[:16] / np.linalg.norm(full[:16]), 1e-5)
    rows = reader.embeddings("warm", dimensions=8, pooling="none")
    lengths = np.linalg.norm(np.frombuffer(rows.vectors[0], "<f4").reshape(-1, 8), axis=1)
    assert len(lengths) == rows.tokens[0] and close(lengths, 1.0, 1e-5)


def test_what_is_too_long_is_cut_and_said_to_be(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_embedder(tmp_path), context=256)
    answer = reader.embeddings("warm", "long " * 100, [7] * 300)
    assert answer.tokens == (6, 256, 256)
    assert answer.truncated == (False, True, True)
    cut, given = reader.job("long " * 100, [7] * 300).inputs
    assert cut[-1] == reader.backend.facts.eos[0], "what ends every text stays"
    assert cut[:-1] == reader.job("long " * 100, [7] * 300).inputs[0][:255]
    assert given == (7,) * 256
    with pytest.raises(ContextOverflow, match="Input 1 is too long"):
        reader.job("warm", "long " * 100, truncate=False)


@pytest.mark.parametrize(
    ("inputs", "fields", "error", "said"),
    [
        (("warm", ()), {}, InvalidRequest, "Input 1 is empty"),
        (((1, 258),), {}, InvalidRequest, "does not have"),
        (((1, -1),), {}, InvalidRequest, "does not have"),
        (("warm",), {"dimensions": 65}, InvalidRequest, "64 dimensions, not 65"),
    ],
)
def test_what_cannot_be_is_refused(
    load: Load, tmp_path: Path, inputs: Any, fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        load(tiny_llama(tmp_path)).job(*inputs, **fields)


def test_nothing_asked_is_nothing_answered(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_llama(tmp_path))
    assert reader.embeddings().vectors == ()
    assert not reader.embedder.holds_memory


def test_capabilities_say_who_can_embed_and_who_can_rank(load: Load, tmp_path: Path) -> None:
    for make in (tiny_bert, tiny_embedder, tiny_llama):
        can = load(make(tmp_path)).backend.facts.capabilities
        assert (can.embeddings, can.rerank) == (True, False)


def test_a_special_token_written_out_is_text(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_embedder(tmp_path))
    eos = reader.backend.facts.eos[0]
    assert reader.job("a<|eos|>b").inputs[0].count(eos) == 1


# --- beside the chat


def test_the_chat_goes_on_bit_for_bit(load: Load, llama_file: Path, tmp_path: Path) -> None:
    reader = load(llama_file, context=2048)
    model = reader.backend
    prompt = [*b"The hearth is warm, and the night outside"]
    expected = generate(model, prompt, 40)
    insert(model, prompt)
    found = [prefill(model, 0, len(prompt))]
    jobs = [
        reader.job([place % 250 for place in range(900)], "short", pooling=pooling)
        for pooling in ("mean", "last")
    ]
    adapted = reader.job("short", adapters=(AdapterRef(str(tiny_adapter(tmp_path))),))
    for job in (*jobs, adapted):
        reader.embedder.begin(job)
    steps = 0
    while len(found) < 40:
        steps += bool(reader.embedder.busy)
        reader.embedder.step()
        found.append(model.step([Row(0, 1)]).sampled[0].token)
    model.remove(0)
    assert steps > 3 and all(job.done for job in (*jobs, adapted))
    assert found == expected
    reader.embedder.release()
    assert generate(model, prompt, 40) == expected


def test_an_adapter_changes_the_vectors_of_its_request_alone(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_llama(tmp_path))
    adapters = (AdapterRef(str(tiny_adapter(tmp_path))),)
    plain = reader.vectors("warm")[0]
    jobs = [reader.job("warm", normalise=False, adapters=which) for which in (adapters, (), adapters, ())]
    reader.run(*jobs)
    first, second, third, fourth = (job.vectors()[0] for job in jobs)
    assert close(first, third, 1e-5) and close(second, plain, 1e-5) and close(fourth, plain, 1e-5)
    assert not close(first, plain, 0.1)


def test_an_adapter_that_was_written_anew_is_another(load: Load, tmp_path: Path) -> None:
    reader = load(tiny_llama(tmp_path))
    path, other = (tiny_adapter(tmp_path, seed=seed) for seed in (1, 2))

    def vector(path: Path) -> NDArray[np.float32]:
        job = reader.job("warm", adapters=(AdapterRef(str(path)),))
        reader.run(job)
        return job.vectors()[0]

    before, expected = vector(path), vector(other)
    assert close(vector(path), before)
    path.write_bytes(other.read_bytes())
    assert close(vector(path), expected) and not close(expected, before, 0.1)


def test_a_step_that_is_interrupted_is_done_again(load: Load, llama_file: Path, tmp_path: Path) -> None:
    for path in (llama_file, tiny_bert(tmp_path)):
        reader = load(path, context=512)
        expected = reader.vectors(*TEXTS, pooling="mean")
        job = reader.job(*TEXTS, pooling="mean", normalise=False)
        reader.embedder.begin(job)
        reader.backend.interrupt()
        assert reader.embedder.step() == ()
        assert not job.done
        while not job.done:
            reader.embedder.step()
        assert all(close(one, other) for one, other in zip(job.vectors(), expected, strict=True))
        assert generate(reader.backend, [1, 2], 2) if path == llama_file else True


def test_a_cancelled_job_does_not_come_out(load: Load, llama_file: Path) -> None:
    reader = load(llama_file, context=2048)
    long, short = reader.job([5] * 2000), reader.job("short", normalise=False)
    reader.embedder.begin(long)
    reader.embedder.begin(short)
    reader.embedder.step()
    reader.embedder.cancel(long)
    ended = []
    while reader.embedder.busy:
        ended += reader.embedder.step()
    assert ended == [short]
    assert close(short.vectors()[0], reader.vectors("short")[0])


def test_errors_stay_with_their_job(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = load(tiny_llama(tmp_path))
    good = reader.job("warm", normalise=False)
    bad = reader.job("warm", adapters=(AdapterRef(str(tmp_path / "absent.gguf")),))
    for job in (bad, good):
        reader.embedder.begin(job)
    ended = []
    while reader.embedder.busy:
        ended += reader.embedder.step()
    assert ended == [bad, good]
    assert isinstance(bad.error, ModelNotFound) and good.error is None
    # The library's own failures too, and the next job has another context.
    broken, later = reader.job("warm"), reader.job("warm", normalise=False)
    reader.embedder.begin(broken)
    context = reader.embedder._context
    assert context is not None
    monkeypatch.setattr(context, "compute", lambda **_: -3)
    assert reader.embedder.step() == (broken,)
    assert isinstance(broken.error, InternalError) and "code -3" in broken.error.why
    reader.run(later)
    assert close(later.vectors()[0], good.vectors()[0])


def test_no_room_in_the_cache_is_met_with_fewer_texts(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = load(tiny_llama(tmp_path))
    expected = reader.vectors(*TEXTS)
    job = reader.job(*TEXTS, normalise=False)
    context = reader.embedder._context
    assert context is not None
    genuine, codes = context.compute, iter([1, 1])
    monkeypatch.setattr(context, "compute", lambda *, gives: next(codes, 0) or genuine(gives=gives))
    assert reader.run(job) >= 3
    assert all(close(one, other) for one, other in zip(job.vectors(), expected, strict=True))


def test_its_memory_comes_with_the_first_text_and_goes_when_nobody_asks(load: Load, tmp_path: Path) -> None:
    now = [0.0]
    reader = load(tiny_llama(tmp_path), clock=lambda: now[0])
    embedder = reader.embedder
    assert not embedder.holds_memory and embedder.log == []
    expected = reader.vectors("warm")[0]
    assert embedder.holds_memory and any("KV buffer size" in line for line in embedder.log)
    now[0] = 59.0
    assert not embedder.release_if_idle(60.0)
    now[0] = 61.0
    assert embedder.release_if_idle(60.0) and not embedder.holds_memory
    assert close(reader.vectors("warm")[0], expected, 1e-6)
    job = reader.job("warm " * 60, normalise=False)
    embedder.begin(job)
    now[0] = 500.0
    assert not embedder.release_if_idle(60.0), "not while it reads"
    embedder.release()
    while embedder.busy:
        embedder.step()
    assert close(job.vectors()[0], reader.vectors("warm " * 60)[0])


def test_a_text_that_would_take_all_memory_is_refused(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    reader = load(tiny_bert(tmp_path, context=2048), context=2048)
    assert reader.vectors("warm")
    genuine = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: genuine._replace(available=1_000_000))
    with pytest.raises(InsufficientMemory, match="GB are free"):
        reader.vectors([5] * 2000)

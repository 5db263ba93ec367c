"""Under MLX sequences answer as mlx-lm answers each alone, in any company, and state moves without harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InternalError, InvalidRequest, Unsupported
from engine.runtime.backends.base import LoadSpec, Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.mlx.library import open_model
from engine.types import AdapterRef, EmbedRequest, LoadOptions
from starter import hf_path
from tests.engine.hf.driving import generate, go_on, insert, prefill
from tests.weights.hf_folders import write_hf, write_hf_adapter

pytest.importorskip("mlx_lm")
TEXTS = [
    [*b"All happy families are alike; every unhappy family is unhappy."],
    [*b"Well, Prince,"],
    [*b"so Genoa and Lucca are now just family estates of the Buonapartes."],
]
COUNT = 12
FAMILIES: dict[str, dict[str, object]] = {
    "llama": {},
    "qwen3": {},
    "gemma3_text": {"sliding_window_pattern": 4},
    "qwen3_moe": {"num_experts": 4, "rope_theta": 10000.0, "norm_topk_prob": True},
}
"""What mlx-lm reads of a configuration by other names than transformers writes. Gemma slides over 24 tokens."""


def opened(path: Path, **options: object) -> FolderBackend:
    said = LoadOptions(**{"slots": 3, "context": 256, **options})  # type: ignore[arg-type]
    return open_model(LoadSpec(model=path.name, path=str(path), options=said), lambda stage, fraction: True)


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_hf(tmp_path_factory.mktemp("mlx") / request.param, request.param)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | FAMILIES[request.param]))
    return path


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[FolderBackend]:
    made = opened(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[list[int]]:
    """What mlx-lm's own loop gives for each text."""
    import mlx.core as mx
    from mlx_lm.generate import generate_step
    from mlx_lm.utils import load_model

    model = load_model(folder)[0]
    return [
        [int(token) for token, _ in generate_step(mx.array(text), model, max_tokens=COUNT)] for text in TEXTS
    ]


def test_alone_and_in_chunks(backend: FolderBackend, expected: list[list[int]]) -> None:
    for text, tokens in zip(TEXTS, expected, strict=True):
        assert generate(backend, text, COUNT) == tokens
        assert generate(backend, text, COUNT, chunk=7) == tokens


def test_side_by_side_as_they_come_and_go(backend: FolderBackend, expected: list[list[int]]) -> None:
    """The batch is put together anew whenever somebody joins or leaves."""
    for slot, text in enumerate(TEXTS):
        insert(backend, text, slot=slot)
    found: dict[int, list[int]] = {0: [prefill(backend, 0, len(TEXTS[0]))]}
    for step in range(COUNT + 6):
        if step == 3:
            found[2] = [prefill(backend, 2, len(TEXTS[2]))]
        if step == 5:
            found[1] = [prefill(backend, 1, len(TEXTS[1]))]
        rows = [Row(slot, 1) for slot in (2, 0, 1) if 0 < len(found.get(slot, ())) < COUNT]
        for sampled in backend.step(rows).sampled if rows else ():
            found[sampled.slot].append(sampled.token)
    for slot in range(3):
        backend.remove(slot)
    assert [found[slot] for slot in range(3)] == expected
    assert backend._holders.tokens == 0


def test_state_is_shared_saved_and_read_back(
    backend: FolderBackend, expected: list[list[int]], folder: Path
) -> None:
    text = TEXTS[0]
    insert(backend, [*text[:40], 33], slot=0)
    insert(backend, TEXTS[1], slot=1)
    backend.step([Row(0, 40), Row(1, len(TEXTS[1]))])
    backend.step([Row(0, 1), Row(1, 1)])
    backend.share(0, 3, 0, 40)
    state = bytes(backend.save(3, 33))
    backend.remove(0)
    backend.remove(1)
    insert(backend, text, slot=2)
    backend.share(3, 2, 0, 37)
    assert go_on(backend, 2, len(text) - 37, COUNT) == expected[0]
    other = opened(folder)
    assert other.identity == backend.identity
    other.restore(3, state, 33)
    insert(other, text, slot=0)
    other.share(3, 0, 0, 33)
    assert go_on(other, 0, len(text) - 33, COUNT) == expected[0]
    for wrong, count in ((state[:-9], 33), (b"", 33), (state, 34)):
        with pytest.raises(InternalError):
            other.restore(4, wrong, count)
    other.close()
    backend.cut(3, 0)


def test_guesses_leave_no_trace(backend: FolderBackend, expected: list[list[int]]) -> None:
    insert(backend, TEXTS[2])
    insert(backend, TEXTS[1], slot=1)
    found = [prefill(backend, 0, len(TEXTS[2]))]
    other = [prefill(backend, 1, len(TEXTS[1]))]
    while len(found) < COUNT:
        draft = [*expected[2][len(found) : len(found) + 2], 7][: COUNT - 1 - len(found)]
        result = backend.step([Row(0, 1, tuple(draft)), Row(1, 1)])
        found += [sampled.token for sampled in result.sampled if sampled.slot == 0]
        other += [sampled.token for sampled in result.sampled if sampled.slot == 1]
    backend.remove(0)
    backend.remove(1)
    assert found == expected[2]
    assert other == expected[1][: len(other)]


def test_adapters_hold_and_leave_the_base_as_it_was(tmp_path: Path) -> None:
    path = write_hf(tmp_path / "llama", "llama")
    one, two = (
        write_hf_adapter(tmp_path / name, path, seed=seed, rank=4 * seed)
        for name, seed in (("a", 1), ("b", 2))
    )
    backend = opened(path)
    base = generate(backend, TEXTS[0], COUNT)
    seen = [base]
    for chosen in (
        (AdapterRef(str(one)),),
        (AdapterRef(str(one), 0.4),),
        (AdapterRef(str(one)), AdapterRef(str(two))),
    ):
        backend.set_adapters(chosen)
        found = generate(backend, TEXTS[0], COUNT)
        assert found not in seen
        seen.append(found)
        backend.set_adapters(())
        assert generate(backend, TEXTS[0], COUNT) == base
    wide = write_hf(tmp_path / "wide", "llama", num_attention_heads=8)
    backend.set_adapters((AdapterRef(str(one)),))
    with pytest.raises(InvalidRequest, match="does not fit"):
        backend.set_adapters((AdapterRef(str(write_hf_adapter(tmp_path / "c", wide))),))
    assert generate(backend, TEXTS[0], COUNT) == seen[1], "what held before still holds"
    backend.close()


def test_vectors_are_those_of_the_hidden_states(tmp_path: Path) -> None:
    backend = opened(write_hf(tmp_path / "llama", "llama"))
    job = backend.texts.embed_job(EmbedRequest(model="m", inputs=("warm", "night " * 20), pooling="last"), ())
    backend.texts.begin(job)
    while backend.texts.busy:
        backend.texts.step()
    first, second = (np.frombuffer(each, "<f4") for each in job.answer("m").vectors)
    assert first.shape == second.shape == (64,) and not np.allclose(first, second)
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-5)
    backend.close()


def test_it_computes_where_it_is_asked_to() -> None:
    backend = opened(hf_path(), device="cpu")
    assert backend.facts.device.startswith("CPU")
    backend.close()
    with pytest.raises(InvalidRequest, match="no device 'cuda:3'"):
        opened(hf_path(), device="cuda:3")


def test_what_it_cannot_do_is_refused_by_name(tmp_path: Path) -> None:
    path = write_hf(tmp_path / "llama", "llama")
    for name, value in (("kv_type", "q5_1"), ("dtype", "float16")):
        with pytest.raises(Unsupported, match=f"`{name}` {value}"):
            opened(path, **{name: value})
    with pytest.raises(Unsupported, match="cannot be served"):
        opened(write_hf(tmp_path / "mamba", "mamba", num_hidden_layers=2))

"""Texts become vectors: those that transformers itself computes, alone and in company, and the chat never notices."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import ContextOverflow, InvalidRequest, Unsupported
from engine.runtime.backends.base import Row
from engine.runtime.backends.folder.backend import FolderBackend
from engine.types import AdapterRef, Embeddings, EmbedRequest, RerankRequest
from tests.engine.hf.driving import generate, insert, opened, prefill
from tests.engine.hf.test_adapters import with_mlx
from tests.weights.hf_folders import write_hf, write_hf_adapter

TEXTS = ("the hearth is warm", "cold", "night and snow " * 14, "zzz")
CHAT = [*b"All happy families are alike; every unhappy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("hf") / "llama", "llama")


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[FolderBackend]:
    made = opened(folder)
    yield made
    made.close()


def embed(
    backend: FolderBackend, *inputs: Any, adapters: tuple[AdapterRef, ...] = (), **more: Any
) -> Embeddings:
    reader = backend.texts
    job = reader.embed_job(EmbedRequest(model="m", inputs=inputs, **more), adapters)
    reader.begin(job)
    ended: list[Any] = []
    while reader.busy:
        ended += reader.step()
    assert ended == [job] and job.error is None, job.error
    return job.answer("m")


def vectors(found: Embeddings) -> list[NDArray[np.float32]]:
    return [np.frombuffer(each, "<f4").reshape(-1, found.dimensions) for each in found.vectors]


@pytest.fixture(scope="module")
def states(folder: Path, backend: FolderBackend) -> dict[str, NDArray[np.float32]]:
    """The hidden states of each text, by transformers alone."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        return {
            text: model(torch.tensor([backend.tokenize(text, add_special=True, parse_special=False)]))
            .last_hidden_state[0]
            .numpy()
            for text in TEXTS
        }


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_they_are_what_transformers_computes(
    backend: FolderBackend, states: dict[str, NDArray[np.float32]], pooling: str
) -> None:
    pooled = {"mean": lambda rows: rows.mean(0), "cls": lambda rows: rows[0], "last": lambda rows: rows[-1]}
    found = vectors(embed(backend, *TEXTS, pooling=pooling, normalise=False))
    for text, vector in zip(TEXTS, found, strict=True):
        assert np.allclose(vector[0], pooled[pooling](states[text]), atol=2e-4)
    (whole,) = vectors(embed(backend, TEXTS[0], pooling="none", normalise=False))
    assert np.allclose(whole, states[TEXTS[0]], atol=2e-4)


def test_many_and_long_texts_are_read_as_one_alone(backend: FolderBackend) -> None:
    alone = [vectors(embed(backend, text))[0] for text in TEXTS]
    together = vectors(embed(backend, *(TEXTS * 6)))
    assert len(together) == 24
    for index, vector in enumerate(together):
        assert np.allclose(vector, alone[index % 4], atol=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1.0)
    assert embed(backend, *TEXTS).tokens == tuple(map(len, TEXTS))


def test_the_chat_does_not_notice(backend: FolderBackend, folder: Path, tmp_path: Path) -> None:
    expected = generate(backend, CHAT, 10)
    adapter = (AdapterRef(str(write_hf_adapter(tmp_path / "adapter", folder))),)
    base = vectors(embed(backend, TEXTS[0]))[0]
    insert(backend, CHAT)
    found = [prefill(backend, 0, len(CHAT))]
    for number in range(9):
        adapted = vectors(embed(backend, TEXTS[0], adapters=adapter if number % 2 else ()))[0]
        assert np.allclose(adapted, base, atol=1e-5) is not bool(number % 2)
        found.append(backend.step([Row(0, 1)]).sampled[0].token)
    backend.remove(0)
    assert found == expected
    assert backend._holders.tokens == 0, "nothing is left of the texts"


@pytest.mark.parametrize("fate", ["written anew", "gone"])
@pytest.mark.parametrize("library", ["transformers", "mlx"])
def test_the_chat_goes_on_with_the_adapter_that_it_began_with(
    folder: Path, tmp_path: Path, library: str, fate: str
) -> None:
    """Whatever became of its files: texts under others, or none, do not look at them."""
    if library == "mlx":
        pytest.importorskip("mlx_lm")
    backend = opened(folder) if library == "transformers" else with_mlx(folder)
    path, other = (write_hf_adapter(tmp_path / f"{seed}", folder, seed=seed) for seed in (1, 2))
    backend.set_adapters((AdapterRef(str(path)),))
    expected = generate(backend, CHAT, 10)
    insert(backend, CHAT)
    found = [prefill(backend, 0, len(CHAT))]
    if fate == "gone":
        shutil.rmtree(path)
    else:
        shutil.copytree(other, path, dirs_exist_ok=True)
    base = vectors(embed(backend, TEXTS[0]))[0]
    adapted = vectors(embed(backend, TEXTS[0], adapters=(AdapterRef(str(other), 0.5),)))[0]
    assert not np.allclose(adapted, base, atol=1e-5)
    while len(found) < 10:
        found.append(backend.step([Row(0, 1)]).sampled[0].token)
    assert found == expected
    backend.remove(0)
    backend.close()


def test_what_cannot_be_read_is_refused_by_name(backend: FolderBackend) -> None:
    with pytest.raises(InvalidRequest, match="64 dimensions"):
        embed(backend, "a", dimensions=65)
    with pytest.raises(InvalidRequest, match="Input 1 is empty"):
        embed(backend, "a", "")
    with pytest.raises(ContextOverflow, match="too long"):
        embed(backend, "a" * 300, truncate=False)
    assert embed(backend, "a" * 300).truncated == (True,)
    with pytest.raises(Unsupported, match="cannot rank"):
        backend.texts.rank_job(RerankRequest(model="m", query="a", documents=("b",)))


def test_a_pass_that_is_broken_off_is_computed_again(backend: FolderBackend) -> None:
    expected = vectors(embed(backend, *TEXTS))
    backend.interrupt()
    assert all(
        np.allclose(a, b, atol=1e-6) for a, b in zip(vectors(embed(backend, *TEXTS)), expected, strict=True)
    )

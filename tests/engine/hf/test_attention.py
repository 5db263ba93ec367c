"""Many sequences in one pass come to what transformers itself makes of each alone, whatever its layers do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import Unsupported
from engine.runtime.backends.base import Row
from engine.runtime.backends.folder.backend import FolderBackend
from tests.engine.hf.driving import generate, go_on, insert, opened
from tests.weights.hf_folders import FAMILIES, write_hf

TEXTS = [
    [*b"All happy families are alike; every unhappy family is unhappy."],
    [*b"Well, Prince,"],
    [*b"so Genoa and Lucca are now just family estates of the Buonapartes."],
]
COUNT = 12


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("hf") / request.param, request.param)


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[FolderBackend]:
    made = opened(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[list[int]]:
    """What `generate` of transformers gives for each text, with attention of its own."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    found = []
    for text in TEXTS:
        ids = torch.tensor([text])
        made = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=COUNT, do_sample=False, eos_token_id=None
        )
        found.append(made[0, len(text) :].tolist())
    return found


def test_alone_and_in_chunks(backend: FolderBackend, expected: list[list[int]]) -> None:
    for text, tokens in zip(TEXTS, expected, strict=True):
        assert generate(backend, text, COUNT) == tokens
        assert generate(backend, text, COUNT, chunk=7) == tokens
    assert len({tuple(tokens) for tokens in expected}) == len(TEXTS), (
        "random weights that answer alike test nothing"
    )


def test_side_by_side(backend: FolderBackend, expected: list[list[int]]) -> None:
    for slot, text in enumerate(TEXTS):
        insert(backend, text, slot=slot)
    found = {
        sampled.slot: [sampled.token]
        for sampled in backend.step([Row(slot, len(text)) for slot, text in enumerate(TEXTS)]).sampled
    }
    for _ in range(COUNT - 1):
        for sampled in backend.step([Row(slot, 1) for slot in (2, 0, 1)]).sampled:
            found[sampled.slot].append(sampled.token)
    for slot in range(len(TEXTS)):
        backend.remove(slot)
    assert [found[slot] for slot in range(len(TEXTS))] == expected


def test_one_reads_while_another_writes(backend: FolderBackend, expected: list[list[int]]) -> None:
    insert(backend, TEXTS[0], slot=0)
    first = [backend.step([Row(0, len(TEXTS[0]))]).sampled[0].token]
    insert(backend, TEXTS[2], slot=1)
    left = len(TEXTS[2])
    while len(first) < COUNT:
        part = min(9, left)
        result = backend.step([Row(0, 1), *([Row(1, part)] if part and left > 9 else [])])
        left -= part if left > 9 else 0
        first += [sampled.token for sampled in result.sampled if sampled.slot == 0]
    backend.remove(0)
    assert first == expected[0]
    assert go_on(backend, 1, left, COUNT) == expected[2]


@pytest.mark.parametrize("family", ["mamba", "bert"])
def test_a_model_that_keeps_or_sees_more_is_refused(tmp_path: Path, family: str) -> None:
    folder = write_hf(tmp_path / family, family, num_hidden_layers=2)
    with pytest.raises(Unsupported, match="cannot be served"):
        opened(folder)

"""State that is shared, kept, cut, saved and read back changes no answer; guesses and scores neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ContextOverflow, InternalError, InvalidRequest, Unsupported
from engine.runtime.backends.base import Outcome, Row
from engine.runtime.backends.folder.backend import FolderBackend
from tests.engine.hf.driving import generate, go_on, insert, opened, prefill
from tests.weights.hf_folders import write_hf

TEXT = [*b"All happy families are alike; every unhappy family is unhappy in its own way."]
SHELF = 3
"""The first shelf behind three slots."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("hf") / "mistral", "mistral")


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[FolderBackend]:
    made = opened(folder)
    yield made
    made.close()


@pytest.fixture
def empty(backend: FolderBackend) -> FolderBackend:
    backend.rebuild()
    return backend


def compute(backend: FolderBackend, slot: int, tokens: list[int]) -> None:
    insert(backend, [*tokens, 33], slot=slot)
    backend.step([Row(slot, len(tokens))])


def test_a_prompt_goes_on_from_a_shelf(empty: FolderBackend) -> None:
    expected = generate(empty, TEXT, 12)
    compute(empty, 0, TEXT[:50])
    empty.share(0, SHELF, 0, 50)
    empty.remove(0)
    for slot, known in ((0, 50), (2, 31)):
        insert(empty, TEXT, slot=slot)
        empty.share(SHELF, slot, 0, known)
    assert go_on(empty, 0, len(TEXT) - 50, 12) == expected
    assert go_on(empty, 2, len(TEXT) - 31, 12) == expected, "the shelf has changed under nobody"


def test_a_saved_state_is_read_back_by_another_model(empty: FolderBackend, folder: Path) -> None:
    expected = generate(empty, TEXT, 12)
    compute(empty, 0, TEXT[:60])
    empty.share(0, SHELF, 0, 60)
    state = bytes(empty.save(SHELF, 44))
    other = opened(folder)
    assert other.identity == empty.identity
    other.restore(SHELF, state, 44)
    insert(other, TEXT, slot=2)
    other.share(SHELF, 2, 0, 44)
    assert go_on(other, 2, len(TEXT) - 44, 12) == expected
    for wrong, count in ((state[:-9], 44), (b"", 44), (state, 45)):
        with pytest.raises(InternalError):
            other.restore(SHELF + 1, wrong, count)
    other.close()


def test_other_weights_are_another_identity(backend: FolderBackend, tmp_path: Path) -> None:
    other = opened(write_hf(tmp_path / "mistral", "mistral", seed=2))
    assert other.identity != backend.identity
    other.close()


def test_right_guesses_are_kept_and_wrong_ones_leave_no_trace(empty: FolderBackend) -> None:
    expected = generate(empty, TEXT, 20)
    insert(empty, TEXT)
    found = [prefill(empty, 0, len(TEXT))]
    while len(found) < 20:
        draft = [*expected[len(found) : len(found) + 3], 7][: 19 - len(found)]
        result = empty.step([Row(0, 1, tuple(draft))])
        found += [sampled.token for sampled in result.sampled]
    assert found == expected


def test_scores_are_the_models_own(empty: FolderBackend, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    insert(empty, TEXT, top_logprobs=2)
    scored = empty.step([Row(0, 20, scored=True)]).scored[0].logprobs
    scored += empty.step([Row(0, len(TEXT) - 20, scored=True)]).scored[0].logprobs
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        rows = torch.log_softmax(model(torch.tensor([TEXT])).logits[0], -1)
    expected = [rows[place, token].item() for place, token in enumerate(TEXT[1:])]
    assert [each.token for each in scored] == TEXT[1:]
    assert [each.logprob for each in scored] == pytest.approx(expected, abs=1e-4)
    assert all(len(each.top) == 2 and each.logprob <= each.top[0].logprob for each in scored)


def test_a_full_cache_says_so_and_changes_nothing(folder: Path) -> None:
    small = opened(folder, cells=100)
    expected = generate(small, TEXT[:40], 8)
    insert(small, TEXT[:40], slot=0)
    insert(small, TEXT, slot=1)
    first = prefill(small, 0, 40)
    assert small.step([Row(0, 1), Row(1, len(TEXT))]).outcome is Outcome.NO_SLOT
    small.remove(1)
    found = [first]
    while len(found) < 8:
        found.append(small.step([Row(0, 1)]).sampled[0].token)
    assert found == expected
    small.close()


def test_a_step_can_be_broken_off_between_two_layers(
    empty: FolderBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = generate(empty, TEXT, 6)
    write = empty._holders.write

    def interrupting(*arguments: Any) -> Any:
        if arguments[1] == 1:
            empty.interrupt()
        return write(*arguments)

    insert(empty, TEXT)
    calls = empty._library._attention.calls
    with monkeypatch.context() as patch:
        patch.setattr(empty._holders, "write", interrupting)
        assert empty.step([Row(0, len(TEXT))]).outcome is Outcome.INTERRUPTED
    assert empty._library._attention.calls == calls + 2, "the layers that follow were spared"
    assert go_on(empty, 0, len(TEXT), 6) == expected
    insert(empty, TEXT)
    empty.interrupt()
    assert empty.step([Row(0, 1)]).outcome is Outcome.INTERRUPTED, "it may have been meant for this one"
    assert go_on(empty, 0, len(TEXT), 6) == expected


def test_bad_prompts_are_refused_before_they_harm_others(empty: FolderBackend) -> None:
    with pytest.raises(InvalidRequest, match="no token"):
        insert(empty, [])
    with pytest.raises(InvalidRequest, match="does not have"):
        insert(empty, [5, 999])
    with pytest.raises(ContextOverflow):
        insert(empty, [5] * 300)
    with pytest.raises(Unsupported, match="DRY"):
        insert(empty, TEXT, sampling={"dry_multiplier": 0.8})
    assert generate(empty, TEXT, 3)


def test_memory_is_told_by_what_is_held(empty: FolderBackend) -> None:
    before = empty.memory()
    assert before.weights == empty.facts.weight_bytes and before.kv_cache == 0
    compute(empty, 0, TEXT)
    assert empty.memory().kv_cache >= len(TEXT) * 4 * 2 * 2 * 16 * 4
    empty.shrink()
    assert empty.memory().kv_cache == 0

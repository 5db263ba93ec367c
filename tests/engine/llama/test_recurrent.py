"""A recurrent model says what it cannot do, and does the rest as any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.runtime.backends.base import Outcome, Row
from engine.runtime.backends.llama.backend import LlamaBackend
from tests.engine.llama.driving import generate, generate_together, insert, opened
from tests.weights import tiny_mamba


@pytest.fixture(scope="module")
def mamba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaBackend]:
    model = opened(tiny_mamba(tmp_path_factory.mktemp("mamba")), slots=3, context=256, batch=256)
    yield model
    model.close()


def test_it_says_that_its_state_cannot_be_cut_back(mamba: LlamaBackend) -> None:
    can = mamba.facts.capabilities
    assert (can.fork, can.trim, can.cancel_in_prefill) == (False, False, False)
    assert can.sampling and can.logprobs
    assert mamba.memory().kv_cache > 0


def test_an_interrupt_leaves_it_alone(mamba: LlamaBackend) -> None:
    insert(mamba, [*b"a step that cannot be undone"])
    mamba.interrupt()
    assert mamba.step([Row(0, 28)]).outcome is Outcome.OK
    mamba.remove(0)


def test_batches_and_chunks_change_nothing(mamba: LlamaBackend) -> None:
    prompts = [[*b"one"], [*b"another voice"], [*b"0123456789" * 6]]
    alone = [generate(mamba, prompt, 20) for prompt in prompts]
    assert generate_together(mamba, prompts, 20) == alone
    assert [generate(mamba, prompt, 20, chunk=7, slot=2) for prompt in prompts] == alone

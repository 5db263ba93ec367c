"""Random-weight models that the tests of the llama.cpp backend share; the backend is opened once for many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runtime.backends.llama.backend import LlamaBackend
from tests.engine.llama.driving import opened
from tests.weights import tiny_adapter, tiny_llama


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_adapter(tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def backend(tiny: Path) -> Iterator[LlamaBackend]:
    """The tiny model with four slots of 256 tokens. A test leaves every slot free."""
    model = opened(tiny, slots=4, context=256, batch=256)
    yield model
    model.close()


@pytest.fixture
def prompt(backend: LlamaBackend) -> list[int]:
    return backend.tokenize("The hearth is warm.", add_special=True, parse_special=False)

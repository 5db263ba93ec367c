"""LoRA adapters: what one changes, another changes otherwise, and taking it off restores the base exactly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import InvalidRequest, ModelNotFound
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.types import AdapterRef
from tests.engine.llama.driving import distribution, generate
from tests.weights import Llama, tiny_adapter, write_adapter


def test_an_adapter_changes_the_model_and_clearing_restores_it(
    backend: LlamaBackend, adapter: Path, tmp_path: Path, prompt: list[int]
) -> None:
    other = tiny_adapter(tmp_path, seed=2)
    base = distribution(backend, prompt), generate(backend, prompt, 20)
    backend.set_adapters((AdapterRef(str(adapter)),))
    first = distribution(backend, prompt), generate(backend, prompt, 20)
    backend.set_adapters((AdapterRef(str(other)),))
    second = distribution(backend, prompt), generate(backend, prompt, 20)
    assert len({tuple(tokens) for _, tokens in (base, first, second)}) == 3
    backend.set_adapters((AdapterRef(str(adapter)),))
    assert (distribution(backend, prompt), generate(backend, prompt, 20)) == first
    backend.set_adapters(())
    assert (distribution(backend, prompt), generate(backend, prompt, 20)) == base


def test_the_scale_counts_and_adapters_add_up(
    backend: LlamaBackend, adapter: Path, tmp_path: Path, prompt: list[int]
) -> None:
    other = tiny_adapter(tmp_path, seed=3)
    seen = []
    for chosen in (
        (),
        (AdapterRef(str(adapter), 0.5),),
        (AdapterRef(str(adapter), 1.0),),
        (AdapterRef(str(adapter), 1.0), AdapterRef(str(other), 1.0)),
    ):
        backend.set_adapters(chosen)
        seen.append(tuple(distribution(backend, prompt).items()))
    backend.set_adapters((AdapterRef(str(adapter), 0.0),))
    assert tuple(distribution(backend, prompt).items()) == seen[0]
    backend.set_adapters(())
    assert len(set(seen)) == 4


def test_a_bad_adapter_leaves_the_former_in_place(
    backend: LlamaBackend, adapter: Path, tmp_path: Path, prompt: list[int]
) -> None:
    backend.set_adapters((AdapterRef(str(adapter)),))
    held = distribution(backend, prompt)
    with pytest.raises(ModelNotFound, match=r"absent\.gguf"):
        backend.set_adapters((AdapterRef(str(tmp_path / "absent.gguf")),))
    for bad in (
        write_adapter(tmp_path / "wider.gguf", Llama(width=128)),
        _noise(tmp_path / "noise.gguf"),
    ):
        with pytest.raises(InvalidRequest) as raised:
            backend.set_adapters((AdapterRef(str(bad)),))
        assert raised.value.param == "adapters"
        assert raised.value.why != "llama.cpp gave no reason."
    assert distribution(backend, prompt) == held
    backend.set_adapters(())


def _noise(path: Path) -> Path:
    path.write_bytes(b"GGUF" + bytes(range(200)))
    return path


def test_one_that_was_written_anew_is_another_whatever_time_it_names(
    backend: LlamaBackend, adapter: Path, tmp_path: Path, prompt: list[int]
) -> None:
    """As copies do that keep times: neither time nor size of its file tells it from the one before."""
    mine, other = tmp_path / "mine.gguf", tiny_adapter(tmp_path, seed=2)
    mine.write_bytes(adapter.read_bytes())
    was = mine.stat()
    chosen = (AdapterRef(str(mine)),)
    backend.set_adapters(chosen)
    before, known = generate(backend, prompt, 20), backend.adapter_identity(chosen)
    mine.write_bytes(other.read_bytes())
    assert mine.stat().st_size == was.st_size
    os.utime(mine, ns=(was.st_atime_ns, was.st_mtime_ns))
    backend.set_adapters(chosen)
    assert backend.adapter_identity(chosen) != known
    after = generate(backend, prompt, 20)
    backend.set_adapters((AdapterRef(str(other)),))
    assert generate(backend, prompt, 20) == after != before
    backend.set_adapters(())

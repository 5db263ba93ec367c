"""What was converted is kept: found again, made anew where anything differs, and bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ModelLoadFailed, StorageFailed
from engine.library import conversions
from engine.library.conversions import GRACE_S, Conversions
from engine.library.gguf import read_header
from engine.library.lora import Base, base_of, check_fits
from engine.library.peft import read_peft
from tests.weights import tiny_llama
from tests.weights.peft_folders import lora_tensors, write_peft

LATER = 10 * GRACE_S


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def base(model: Path) -> Base:
    return base_of("tiny", [read_header(model)])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "adapters"


def variant(folder: Path, number: int) -> Path:
    return write_peft(folder / f"adapter-{number}", lora_tensors(seed=number))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_same_adapter_is_converted_once(tmp_path: Path, base: Base, cache: Path) -> None:
    first, copy = variant(tmp_path / "here", 1), variant(tmp_path / "there", 1)
    path = Conversions(cache).gguf_of(read_peft(first), base)
    check_fits(read_header(path), base, "it")
    before = path.stat()
    assert Conversions(cache).gguf_of(read_peft(first), base) == path
    assert Conversions(cache).gguf_of(read_peft(copy), base) == path, "the folder's name does not count"
    assert (path.stat().st_ino, names(cache)) == (before.st_ino, [path.name])
    assert cache.stat().st_mode & 0o077 == 0


def test_whatever_counts_makes_another_file(
    tmp_path: Path, base: Base, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Conversions(cache)
    found = [kept.gguf_of(read_peft(variant(tmp_path, 1)), base)]
    found.append(kept.gguf_of(read_peft(variant(tmp_path, 2)), base))
    other_alpha = write_peft(tmp_path / "b", lora_tensors(seed=1), {"lora_alpha": 16})
    found.append(kept.gguf_of(read_peft(other_alpha), base))
    # As many rows, in other heads: another order.
    other_heads = Base(
        name="x", architecture="llama", matrices=base.matrices, heads=(8, 8), kv_heads=base.kv_heads
    )
    found.append(kept.gguf_of(read_peft(variant(tmp_path, 1)), other_heads))
    found.append(
        kept.gguf_of(
            read_peft(variant(tmp_path, 1)),
            Base(name="x", architecture="qwen2", matrices=base.matrices, heads=(4, 4), kv_heads=(2, 2)),
        )
    )
    monkeypatch.setattr(conversions, "VERSION", 10_000)
    found.append(kept.gguf_of(read_peft(variant(tmp_path, 1)), base))
    assert len(set(found)) == len(found) == len(names(cache))


def test_an_adapter_that_was_trained_on_is_converted_anew(tmp_path: Path, base: Base, cache: Path) -> None:
    kept = Conversions(cache)
    first = kept.gguf_of(read_peft(variant(tmp_path, 1)), base)
    write_peft(tmp_path / "adapter-1", lora_tensors(seed=7))
    assert kept.gguf_of(read_peft(tmp_path / "adapter-1"), base) != first


def test_what_fails_leaves_nothing_behind(tmp_path: Path, base: Base, cache: Path) -> None:
    source = lora_tensors()
    source[next(iter(source))][0, 0] = np.inf
    with pytest.raises(ModelLoadFailed, match="not finite"):
        Conversions(cache).gguf_of(read_peft(write_peft(tmp_path / "a", source)), base)
    assert names(cache) == []


def test_an_adapter_that_changes_under_the_conversion_is_an_error(
    tmp_path: Path, base: Base, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = variant(tmp_path, 1)
    adapter = read_peft(folder)
    genuine = conversions.write

    def slow(*arguments: object) -> None:
        genuine(*arguments)  # type: ignore[arg-type]
        os.utime(adapter.tensors.path, ns=(1, 1))

    monkeypatch.setattr(conversions, "write", slow)
    with pytest.raises(ModelLoadFailed, match="changed while it was converted"):
        Conversions(cache).gguf_of(adapter, base)
    assert names(cache) == []


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, base: Base) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="HEARTH_HOME"):
        Conversions(tmp_path / "file" / "adapters").gguf_of(read_peft(variant(tmp_path, 1)), base)


def test_what_was_used_longest_ago_goes_first(
    tmp_path: Path, base: Base, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "MAX_FILES", 3)
    now = time.time()
    kept = Conversions(cache, clock=lambda: now)
    found = []
    for number in range(3):
        found.append(kept.gguf_of(read_peft(variant(tmp_path, number)), base))
        os.utime(found[-1], (now - LATER + number, now - LATER + number))
    (cache / "of-a-dead-process.part").write_text("")
    os.utime(cache / "of-a-dead-process.part", (now - 10 * LATER, now - 10 * LATER))
    (cache / "of-another-process.part").write_text("")
    assert kept.gguf_of(read_peft(variant(tmp_path, 0)), base) == found[0], "used again: now the newest"
    newest = kept.gguf_of(read_peft(variant(tmp_path, 3)), base)
    assert set(names(cache)) == {found[0].name, found[2].name, newest.name, "of-another-process.part"}


def test_size_counts_too_but_nothing_is_taken_that_may_be_in_use(
    tmp_path: Path, base: Base, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions, "MAX_BYTES", 1)
    now = time.time()
    first = Conversions(cache, clock=lambda: now).gguf_of(read_peft(variant(tmp_path, 0)), base)
    second = Conversions(cache, clock=lambda: now).gguf_of(read_peft(variant(tmp_path, 1)), base)
    assert names(cache) == sorted([first.name, second.name])
    third = Conversions(cache, clock=lambda: now + LATER).gguf_of(read_peft(variant(tmp_path, 2)), base)
    assert names(cache) == [third.name]


CONVERT = """
import sys
from pathlib import Path
from engine.library.conversions import Conversions
from engine.library.gguf import read_header
from engine.library.lora import base_of
from engine.library.peft import read_peft
folder, model, cache = map(Path, sys.argv[1:])
adapter, base = read_peft(folder), base_of("tiny", [read_header(model)])
print("ready", flush=True)
sys.stdin.readline()
print(Conversions(cache).gguf_of(adapter, base))
"""


def test_several_processes_may_convert_at_once(
    repository: Path, tmp_path: Path, model: Path, base: Base, cache: Path
) -> None:
    arguments = [sys.executable, "-c", CONVERT, str(variant(tmp_path, 1)), str(model), str(cache)]
    running = [
        subprocess.Popen(arguments, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for child in running:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    found = {child.communicate("go\n", timeout=60)[0].strip() for child in running}
    assert len(found) == 1
    (path,) = found
    assert names(cache) == [Path(path).name]
    check_fits(read_header(Path(path)), base, "it")

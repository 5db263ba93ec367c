"""Headers that were read before are not read again, in the next process neither; what is kept may be damaged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ModelLoadFailed
from engine.library import kept_headers
from engine.library.gguf import read_header
from engine.library.kept_headers import KeptHeaders
from starter import gguf_path, vision_paths
from tests.weights import tiny_gemma, tiny_llama


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "headers.msgpack"


def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(kept_headers, "read_header", refuse)


def test_a_header_is_the_same_in_the_next_process(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [gguf_path(), *vision_paths()[:2], tiny_llama(tmp_path), tiny_gemma(tmp_path)]
    read = [read_header(path) for path in models]
    first = KeptHeaders(file)
    assert [first.of(path) for path in models] == read
    first.save()
    nothing_is_read(monkeypatch)
    kept = KeptHeaders(file)
    assert [kept.of(path) for path in models] == read
    assert [each.vocabulary for each in map(kept.of, models)] == [each.vocabulary for each in read]


def test_a_file_that_changed_is_read_again(file: Path, tmp_path: Path) -> None:
    model = tiny_llama(tmp_path)
    kept = KeptHeaders(file)
    kept.of(model)
    kept.save()
    shutil.copy(gguf_path(), model)
    assert KeptHeaders(file).of(model) == read_header(gguf_path())
    model.write_bytes(b"GGUF no more")
    with pytest.raises(ModelLoadFailed):
        KeptHeaders(file).of(model)


def test_two_processes_keep_what_both_have_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = KeptHeaders(file), KeptHeaders(file)
    one.of(gguf_path())
    other.of(tiny_llama(tmp_path))
    one.save()
    other.save()
    nothing_is_read(monkeypatch)
    both = KeptHeaders(file)
    assert both.of(gguf_path()) and both.of(tmp_path / "tiny-0.gguf")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_what_is_damaged_counts_as_nothing(file: Path, place: float, value: int, cut: bool) -> None:
    kept = KeptHeaders(file)
    kept.of(gguf_path())
    kept.save()
    data = bytearray(file.read_bytes())
    at = int(place * (len(data) - 1))
    data[at] = value
    file.write_bytes(data[:at] if cut else data)
    assert KeptHeaders(file).of(gguf_path()) == read_header(gguf_path())


def test_where_nothing_can_be_written_it_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    kept = KeptHeaders(tmp_path / "cache" / "headers.msgpack")
    assert kept.of(gguf_path()) == read_header(gguf_path())
    kept.save()
    assert KeptHeaders(None).of(gguf_path()) == read_header(gguf_path())


def test_a_path_that_is_damaged_counts_as_nothing(file: Path) -> None:
    kept = KeptHeaders(file)
    kept.of(gguf_path())
    kept.save()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"/", b"\xff", 1))
    assert KeptHeaders(file).of(gguf_path()) == read_header(gguf_path())


def test_a_name_that_is_no_text_is_kept_too(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe8le.gguf"))
    shutil.copy(gguf_path(), model)
    kept = KeptHeaders(file)
    read = kept.of(model)
    kept.save()
    nothing_is_read(monkeypatch)
    assert KeptHeaders(file).of(model) == read


def test_the_file_holds_no_more_than_it_may(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_headers, "MOST", 3)
    model = tiny_llama(tmp_path)
    for number in range(8):
        kept = KeptHeaders(file)
        kept.of(shutil.copy(model, tmp_path / f"model-{number}.gguf"))
        kept.save()
    nothing_is_read(monkeypatch)
    kept = KeptHeaders(file)
    for number in (5, 6, 7):
        assert kept.of(tmp_path / f"model-{number}.gguf")
    with pytest.raises(AssertionError, match="model-4"):
        kept.of(tmp_path / "model-4.gguf")

"""The cache: what is in it, what nobody needs, and that nothing goes which is in use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import InvalidRequest, ModelNotFound, ModelUnavailable
from engine.hub import cache as caching
from engine.hub.cache import Loaded
from engine.hub.partial import JOURNAL, PIECE, SUFFIX
from engine.hub.reference import parse
from engine.hub.verify import verify
from engine.types import PullRequest
from tests.hub.conftest import MIB, Open, noise, pulled
from tests.hub.server import HubServer

NAME = "org/tiny-GGUF"
NOBODY = Loaded()
Q4, Q8 = noise(300_000, 1), noise(500_000, 2)


@pytest.fixture
async def filled(hub: HubServer, opened: Open, cache: Path) -> Path:
    """A cache with two revisions that share a blob, and a model folder."""
    hub.add(NAME, {"tiny-Q4_K_M.gguf": Q4, "tiny-Q8_0.gguf": Q8, "mmproj-tiny-f16.gguf": noise(9000, 3)})
    async with opened() as service:
        await pulled(service, f"{NAME}:Q4_K_M")
        await pulled(service, f"{NAME}:Q8_0")
        hub.add(NAME, {"tiny-Q4_K_M.gguf": Q4, "tiny-Q8_0.gguf": noise(400_000, 4)})
        await pulled(service, f"{NAME}:Q4_K_M")
        hub.add("org/folder", {"config.json": b"{}", "model.safetensors": noise(20_000, 5)})
        await pulled(service, "org/folder")
    return cache


def bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def old(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_blob_of_two_revisions_counts_once(filled: Path) -> None:
    found = caching.scan(filled, NOBODY)
    assert [each.id for each in found.repositories] == [NAME, "org/folder"]
    repository = found.repositories[0]
    assert repository.size == len(Q4) + len(Q8) + 9000
    assert [revision.refs for revision in repository.revisions].count(("main",)) == 1
    assert sum(revision.size for revision in repository.revisions) > repository.size
    blobs = {file.path: {f.blob for r in repository.revisions for f in r.files if f.path == file.path}
             for file in repository.revisions[0].files}  # fmt: skip
    assert len(blobs["tiny-Q4_K_M.gguf"]) == 1
    assert found.size == repository.size + 20_002 and not found.broken
    assert repository.used > time.time() - 600 and not repository.loaded


def test_deleting_one_quantisation_leaves_the_other(filled: Path) -> None:
    before = bytes_of(filled)
    said = caching.delete(filled, parse(f"{NAME}:Q8_0"), NOBODY, dry_run=True)
    assert bytes_of(filled) == before and said.size == len(Q8) and "tiny-Q8_0.gguf" in said.what[0]
    assert caching.delete(filled, parse(f"{NAME}:q8_0"), NOBODY, dry_run=False) == said
    assert before - bytes_of(filled) == len(Q8)
    names = {
        file.path for each in caching.scan(filled, NOBODY).repositories[0].revisions for file in each.files
    }
    assert names == {"tiny-Q4_K_M.gguf", "mmproj-tiny-f16.gguf"}


def test_the_last_quantisation_takes_the_repository_with_it(filled: Path) -> None:
    for choice in ("Q8_0", "Q4_K_M"):
        caching.delete(filled, parse(f"{NAME}:{choice}"), NOBODY, dry_run=False)
    assert [each.id for each in caching.scan(filled, NOBODY).repositories] == ["org/folder"]
    assert not (filled / "models--org--tiny-GGUF").exists()


def test_the_last_quantisation_leaves_what_is_half_fetched_of_another(filled: Path) -> None:
    caching.delete(filled, parse(f"{NAME}:Q8_0"), NOBODY, dry_run=False)
    blobs = filled / "models--org--tiny-GGUF/blobs"
    for suffix in (SUFFIX, JOURNAL):
        (blobs / f"{'a' * 64}{suffix}").write_bytes(bytes(70_000))
    freed = caching.delete(filled, parse(f"{NAME}:Q4_K_M"), NOBODY, dry_run=False)
    assert freed.size == len(Q4) + 9000
    assert sorted(path.name[64:] for path in blobs.iterdir()) == sorted((SUFFIX, JOURNAL))
    (repository,) = [each for each in caching.scan(filled, NOBODY).repositories if each.id == NAME]
    assert repository.partial and not repository.revisions
    assert caching.delete(filled, parse(NAME), NOBODY, dry_run=False).files == 2
    assert not blobs.parent.exists()


def test_deleting_a_revision_keeps_what_another_needs(hub: HubServer, filled: Path) -> None:
    new, first = (
        hub.repositories[NAME].refs["main"],
        next(iter(hub.repositories[NAME].commits)),
    )
    freed = caching.delete(filled, parse(f"{NAME}@{first}"), NOBODY, dry_run=False)
    assert freed.size == len(Q8) + 9000
    (revision,) = caching.scan(filled, NOBODY).repositories[0].revisions
    assert revision.commit == new
    assert (filled / "models--org--tiny-GGUF/snapshots" / new / "tiny-Q4_K_M.gguf").read_bytes() == Q4


def test_what_is_not_there_is_named(filled: Path, tmp_path: Path) -> None:
    for text in ("org/nothing", f"{NAME}:Q2_K", f"{NAME}@v9"):
        with pytest.raises(ModelNotFound):
            caching.delete(filled, parse(text), NOBODY, dry_run=False)
    with pytest.raises(ModelNotFound):
        caching.delete(tmp_path / "none", parse(NAME), NOBODY, dry_run=False)
    assert caching.scan(tmp_path / "none", NOBODY).repositories == ()


def test_a_loaded_model_stays(filled: Path) -> None:
    (path,) = filled.glob("*/snapshots/*/tiny-Q8_0.gguf")
    loaded = Loaded({"tiny": str(path)})
    assert caching.scan(filled, loaded).repositories[0].loaded
    for text in (NAME, f"{NAME}:Q8_0"):
        with pytest.raises(ModelUnavailable, match="tiny is loaded"):
            caching.delete(filled, parse(text), loaded, dry_run=False)
    assert path.exists()
    assert caching.delete(filled, parse("org/folder"), loaded, dry_run=False).files == 2
    folder = Loaded({"folder": str(path.parent)})
    with pytest.raises(ModelUnavailable):
        caching.delete(filled, parse(NAME), folder, dry_run=False)


def test_a_file_that_another_program_has_open_stays(filled: Path) -> None:
    (path,) = filled.glob("*/snapshots/*/tiny-Q8_0.gguf")
    code = (
        "import mmap, sys; f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ);"
        + (" f.close(); print('open', flush=True); sys.stdin.read()")
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(ModelUnavailable, match=str(other.pid)):
            caching.delete(filled, parse(NAME), NOBODY, dry_run=False)
        other.communicate()
    assert caching.delete(filled, parse(NAME), NOBODY, dry_run=False).files == 4


def test_a_repository_that_is_a_link_to_elsewhere_is_not_deleted(filled: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    (filled / "models--org--tiny-GGUF").rename(real)
    (filled / "models--org--tiny-GGUF").symlink_to(real)
    before = bytes_of(real)
    with pytest.raises(InvalidRequest, match="outside the cache"):
        caching.delete(filled, parse(NAME), NOBODY, dry_run=False)
    assert bytes_of(real) == before


def test_prune_takes_what_nothing_uses_and_nothing_else(filled: Path) -> None:
    blobs = filled / "models--org--tiny-GGUF/blobs"
    sizes = {
        "0" * 64: 70_000,
        "1" * 64 + SUFFIX: 50_000,
        "1" * 64 + JOURNAL: 24,
        "2" * 64 + ".incomplete": 30_000,
    }
    for name, size in sizes.items():
        (blobs / name).write_bytes(b"x" * size)
        old(blobs / name, 2 * 86400)
    fresh = blobs / ("3" * 64 + SUFFIX)
    fresh.write_bytes(b"x")
    before = caching.scan(filled, NOBODY)
    assert before.repositories[0].unreferenced == 70_000 and before.repositories[0].partial >= 80_000
    said = caching.prune(filled, dry_run=True)
    assert caching.prune(filled, dry_run=False) == said
    assert said.files == 4 and said.size == pytest.approx(150_024, abs=8192)
    assert {path.name for path in blobs.iterdir()} & set(sizes) == set() and fresh.exists()
    assert caching.scan(filled, NOBODY).repositories[0].size == before.repositories[0].size
    assert caching.prune(filled, dry_run=False).files == 0


async def test_models_of_one_quantisation_are_told_apart(hub: HubServer, opened: Open, cache: Path) -> None:
    names = ("small-Q4_K_M.gguf", "large-Q4_K_M-00001-of-00002.gguf", "large-Q4_K_M-00002-of-00002.gguf")
    hub.add("org/two-GGUF", {name: noise(9000, place) for place, name in enumerate(names)})
    async with opened() as service:
        for choice in ("small-Q4_K_M", "large-Q4_K_M"):
            assert (await pulled(service, f"org/two-GGUF:{choice}")).stage == "done"
    with pytest.raises(InvalidRequest, match="large-Q4_K_M, small-Q4_K_M"):
        caching.delete(cache, parse("org/two-GGUF:Q4_K_M"), NOBODY, dry_run=False)
    assert caching.delete(cache, parse("org/two-GGUF:large-Q4_K_M"), NOBODY, dry_run=False).files == 2
    ((revision,),) = [each.revisions for each in caching.scan(cache, NOBODY).repositories]
    assert [file.path for file in revision.files] == ["small-Q4_K_M.gguf"]


async def test_files_that_are_no_links_count_once_and_are_not_pruned(
    hub: HubServer, opened: Open, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    hub.add(NAME, {"tiny-Q4_K_M.gguf": Q4})
    async with opened() as service:
        await pulled(service, NAME)
    (repository,) = caching.scan(cache, NOBODY).repositories
    assert (repository.size, repository.unreferenced) == (len(Q4), 0)
    assert caching.prune(cache, dry_run=False, age=-1.0).files == 0


async def test_a_pull_that_was_given_up_can_be_cleared(hub: HubServer, opened: Open, cache: Path) -> None:
    hub.add(NAME, {"tiny-Q4_K_M.gguf": noise(4 * MIB)})
    hub.rate = 2e6
    async with opened(connections=1) as service:
        stream = service.pull(PullRequest(model=NAME))
        async for state in stream:
            if state.done >= PIECE:
                stream.cancel()
        (repository,) = caching.scan(cache, NOBODY).repositories
    assert repository.partial >= PIECE and repository.size == 0 and repository.revisions == ()
    freed = caching.delete(cache, parse(NAME), NOBODY, dry_run=False)
    assert freed.size >= PIECE and caching.scan(cache, NOBODY).repositories == ()


def test_every_file_is_held_against_its_name(filled: Path) -> None:
    sound = verify(filled, parse(NAME))
    assert (sound.files, sound.size, sound.damaged) == (3, len(Q4) + len(Q8) + 9000, ())
    assert verify(filled, parse("org/folder")).files == 2
    path = next(filled.glob("*/snapshots/*/tiny-Q8_0.gguf")).resolve()
    with path.open("r+b") as file:
        file.seek(400_000)
        file.write(bytes([path.read_bytes()[400_000] ^ 1]))
    assert verify(filled, parse(NAME)).damaged == ("tiny-Q8_0.gguf",)
    assert verify(filled, parse(NAME), lambda: False).damaged == ()
    with pytest.raises(ModelNotFound):
        verify(filled, parse("org/nothing"))


def test_damaged_repositories_are_told_and_harm_nobody(filled: Path) -> None:
    (filled / "models--bad--one").mkdir()
    (filled / "models--bad\x1b[2J--two" / "snapshots").mkdir(parents=True)
    (filled / "models--bad\x1b[2J--two" / "snapshots" / "file").write_text("x")
    found = caching.scan(filled, NOBODY)
    assert len(found.repositories) == 2 and len(found.broken) == 2
    assert not any("\x1b" in line for line in found.broken)

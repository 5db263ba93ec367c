"""Pulls over real sockets: what arrives, what is seen by others, and what faults of network, server and disk cost."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from msgspec.structs import replace

from engine.errors import HubUnavailable
from engine.hub import pull as pulling
from engine.hub.partial import JOURNAL, PIECE, SUFFIX
from engine.types import PullRequest, PullState
from tests.hub.conftest import MIB, QUICK, Open, noise, pulled
from tests.hub.server import HubServer, Once, answering, dropped, flipped, stalled

NAME = "org/tiny-GGUF"
SIZE = 5 * MIB + 12_345


@pytest.fixture
def content() -> bytes:
    return noise(SIZE)


@pytest.fixture
def commit(hub: HubServer, content: bytes) -> str:
    return hub.add(NAME, {"README.md": b"# tiny\n", "tiny-Q4_K_M.gguf": content})


def visible(cache: Path) -> list[str]:
    """Every file that programs would find in the cache."""
    return sorted(
        str(path.relative_to(cache)) for path in cache.glob("models--*/snapshots/**/*") if path.is_file()
    )


def held(state: PullState) -> bytes:
    """What is at the path that a pull ended with."""
    return Path(state.path).read_bytes()


def link_of(state: PullState) -> str:
    """Where that path links to; empty if it is no link."""
    return os.readlink(state.path) if os.path.islink(state.path) else ""


def blobs(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("*/blobs/*"))


def leftovers(cache: Path) -> list[str]:
    return [name for name in blobs(cache) if name.endswith((SUFFIX, JOURNAL))]


async def test_a_pull_lands_where_every_hugging_face_program_looks(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    from huggingface_hub import scan_cache_dir, snapshot_download

    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "done" and state.error is None
    assert (state.model, state.commit, state.done, state.size) == (f"{NAME}:Q4_K_M", commit, SIZE, SIZE)
    assert hub.bytes_served == SIZE == state.fetched
    assert held(state) == content
    assert link_of(state).startswith("../../blobs/")
    folder = snapshot_download(NAME, cache_dir=cache, local_files_only=True)
    assert f"{folder}/tiny-Q4_K_M.gguf" == state.path
    scanned = scan_cache_dir(cache)
    assert not scanned.warnings and not scanned.incomplete_files
    (repository,) = scanned.repos
    (revision,) = repository.revisions
    assert (repository.repo_id, revision.commit_hash, set(revision.refs)) == (NAME, commit, {"main"})
    assert leftovers(cache) == []


async def test_what_was_pulled_is_not_fetched_again(
    hub: HubServer, opened: Open, cache: Path, commit: str
) -> None:
    async with opened() as service:
        await pulled(service, NAME)
        before = hub.bytes_served
        again = await pulled(service, f"hf.co/{NAME}:q4_k_m")
    assert again.stage == "done" and again.fetched == 0 and hub.bytes_served == before


async def test_the_hugging_face_library_takes_our_files_for_its_own(
    hub: HubServer, opened: Open, cache: Path, tmp_path: Path, content: bytes, commit: str
) -> None:
    # As at the real hub, large files lie on another host.
    hub.storage = f"http://localhost:{hub.port}"
    async with opened(download_hosts=(f"localhost:{hub.port}",)) as service:
        state = await pulled(service, NAME)
    before = hub.bytes_served
    code = "from huggingface_hub import hf_hub_download as get; import sys; print(get(*sys.argv[1:]))"
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }

    async def fetched(file: str, **more: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code, NAME, file],
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert await fetched("tiny-Q4_K_M.gguf") == state.path and hub.bytes_served == before
    # What it fetches itself lies beside what we fetched; and this hub is one that it can fetch from.
    assert await fetched("README.md") == state.path.replace("tiny-Q4_K_M.gguf", "README.md")
    assert await fetched("tiny-Q4_K_M.gguf", HF_HUB_CACHE=str(tmp_path / "other")) != state.path
    assert hub.bytes_served == before + len(b"# tiny\n") + SIZE


async def test_the_code_of_a_trusted_revision_comes_with_it(
    hub: HubServer, opened: Open, cache: Path
) -> None:
    files = {"config.json": b"{}", "model.safetensors": noise(10_000), "modeling_x.py": b"x = 1"}
    commit = hub.add("org/own", files)
    async with opened(trusted_code=(f"org/own@{'0' * 40}",)) as service:
        await pulled(service, "org/own")
    assert not [path for path in visible(cache) if path.endswith(".py")]
    async with opened(trusted_code=(f"org/own@{commit}",)) as service:
        await pulled(service, "org/own")
    assert [path for path in visible(cache) if path.endswith("modeling_x.py")]


async def test_connections_are_used_again(hub: HubServer, opened: Open, commit: str) -> None:
    async with opened(connections=2) as service:
        await pulled(service, NAME)
    assert len({request.peer for request in hub.requests}) <= 3


async def test_a_new_revision_shares_what_stayed_and_moves_the_ref(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    async with opened() as service:
        first = await pulled(service, NAME)
        other = hub.add(NAME, {"tiny-Q4_K_M.gguf": content, "tiny-Q8_0.gguf": noise(9000, 2)})
        second = await pulled(service, NAME)
        third = await pulled(service, f"{NAME}@{commit}")
    assert (first.commit, second.commit, third.commit) == (commit, other, commit)
    assert second.fetched == 0 and third.fetched == 0
    assert link_of(first) == link_of(second)
    assert (cache / "models--org--tiny-GGUF/refs/main").read_text() == other


async def test_dropped_connections_are_taken_up_where_they_broke(
    hub: HubServer, opened: Open, content: bytes, commit: str
) -> None:
    hub.faults = [Once(dropped, times=8)]
    async with opened() as service:
        state = await pulled(service, NAME)
    assert held(state) == content
    assert hub.bytes_served == SIZE


async def test_a_connection_that_falls_silent_is_given_up(
    hub: HubServer, opened: Open, content: bytes, commit: str
) -> None:
    hub.faults = [Once(stalled, times=2)]
    async with opened(replace(QUICK, stall=0.3)) as service:
        state = await pulled(service, NAME)
    assert held(state) == content


async def test_a_flipped_byte_is_caught_and_only_its_neighbourhood_fetched_again(
    hub: HubServer, opened: Open, content: bytes, commit: str
) -> None:
    hub.faults = [Once(flipped, begins=lambda at: at == PIECE)]
    async with opened(connections=2) as service:
        state = await pulled(service, NAME)
    assert state.stage == "done" and "checksum" in state.note
    assert held(state) == content
    assert hub.bytes_served == SIZE + 2 * PIECE


async def test_a_server_that_keeps_sending_wrong_bytes_gets_nothing_shown(
    hub: HubServer, opened: Open, cache: Path, commit: str
) -> None:
    hub.faults = [Once(flipped, times=1000, begins=lambda at: at == 0)]
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "failed" and state.error is not None and state.error.code == "pull_failed"
    assert "checksum" in state.error.what
    assert visible(cache) == [] and leftovers(cache) == []
    assert blobs(cache) == []


async def test_a_small_file_is_checked_against_its_git_hash(
    hub: HubServer, opened: Open, cache: Path
) -> None:
    hub.add(NAME, {"config.json": b"{}" + b" " * 200, "model.safetensors": noise(10_000)})
    hub.faults = [Once(flipped, times=1000, begins=lambda at: at == 0)]
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "failed" and visible(cache) == []


@pytest.mark.parametrize(
    "fault", [None, Once(dropped, times=2), Once(flipped)], ids=["sound", "dropped", "flipped"]
)
async def test_a_server_without_ranges_still_serves(
    hub: HubServer, opened: Open, content: bytes, commit: str, fault: Once | None
) -> None:
    hub.ranges = False
    hub.faults = [fault] if fault is not None else []
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "done", state.error
    assert held(state) == content


async def test_a_busy_storage_is_asked_again_after_the_wait_that_it_wants(
    hub: HubServer, opened: Open, content: bytes, commit: str
) -> None:
    hub.faults = [Once(answering(503, Retry_After="0")), Once(answering(429, Retry_After="1"))]
    seen = []
    async with opened(connections=1) as service:
        stream = service.pull(PullRequest(model=NAME))
        async for state in stream:
            seen.append(state)
    assert seen[-1].stage == "done" and held(seen[-1]) == content
    assert any(state.stage == "waiting" and "Next try in" in state.note for state in seen)


async def test_without_a_network_a_pull_gives_up_in_words_and_goes_on_later(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    hub.faults = [Once(answering(500), times=1000, begins=lambda at: at >= 3 * PIECE)]
    async with opened(connections=1) as service:
        state = await pulled(service, NAME)
        assert state.stage == "failed" and state.error is not None
        assert state.error.code == HubUnavailable.code and state.error.retryable
        assert visible(cache) == [] and len(leftovers(cache)) == 2
        hub.faults = []
        before = hub.bytes_served
        state = await pulled(service, NAME)
    assert held(state) == content
    assert before == 3 * PIECE and hub.bytes_served == SIZE


async def test_addresses_that_expire_are_asked_for_anew(
    hub: HubServer, opened: Open, content: bytes, commit: str
) -> None:
    hub.expires = 2
    async with opened(connections=1) as service:
        state = await pulled(service, NAME)
    assert held(state) == content
    assert len(hub.asked("/resolve/")) == 3


async def test_the_hub_is_asked_once_a_file_and_the_storage_for_the_ranges(
    hub: HubServer, opened: Open, commit: str
) -> None:
    async with opened(connections=1) as service:
        await pulled(service, NAME)
    assert len(hub.asked("/resolve/")) == 1
    assert len(hub.asked("/storage/")) == -(-SIZE // PIECE)


async def test_a_cancelled_pull_goes_on_where_it_was(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    hub.rate = 2e6
    async with opened(connections=2) as service:
        stream = service.pull(PullRequest(model=NAME))
        async for state in stream:
            if state.done >= 2 * PIECE:
                stream.cancel()
                break
        assert (await stream.wait()).stage == "cancelled"
        assert visible(cache) == []
        served, hub.rate = hub.bytes_served, None
        state = await pulled(service, NAME)
    assert held(state) == content
    # On the way were a piece a connection.
    assert hub.bytes_served <= SIZE + 2 * PIECE
    assert served < SIZE


async def test_a_partial_that_the_disk_has_damaged_is_mended_piece_by_piece(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    hub.faults = [Once(answering(500), times=1000, begins=lambda at: at >= 4 * PIECE)]
    async with opened(connections=1) as service:
        await pulled(service, NAME)
        hub.faults = []
        (partial,) = (cache / "models--org--tiny-GGUF/blobs").glob(f"*{SUFFIX}")
        with partial.open("r+b") as file:
            file.seek(2 * PIECE + 77)
            file.write(b"damaged")
        before = hub.bytes_served
        state = await pulled(service, NAME)
    assert held(state) == content and "damaged" in state.note
    assert hub.bytes_served - before == SIZE - 4 * PIECE + PIECE


async def test_a_pull_without_room_is_refused_before_anything_is_fetched(
    hub: HubServer, opened: Open, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling.planning, "disk_free", lambda folder: SIZE + 1000)
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "failed" and state.error is not None and state.error.code == "disk_full"
    assert "free" in state.error.why and hub.bytes_served == 0


async def test_a_disk_that_fills_up_keeps_what_is_there(
    hub: HubServer, opened: Open, content: bytes, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = os.pwrite, [3]

    def full(descriptor: int, data: bytes, at: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data, at)

    async with opened(connections=1) as service:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            state = await pulled(service, NAME)
        assert state.error is not None and state.error.code == "disk_full"
        before = hub.bytes_served
        state = await pulled(service, NAME)
    assert held(state) == content
    assert hub.bytes_served - before == SIZE - 3 * PIECE


async def test_a_file_that_another_program_fetches_is_waited_for(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    async with opened() as service:
        plan = await service.plan(PullRequest(model=NAME))
        etag = plan.chosen.files[0].etag
        locks = cache / ".locks/models--org--tiny-GGUF"
        locks.mkdir(parents=True)
        blob = cache / "models--org--tiny-GGUF/blobs" / etag
        with filelock.FileLock(locks / f"{etag}.lock"):
            stream = service.pull(PullRequest(model=NAME))
            async for state in stream:
                if state.stage == "locked":
                    break
            assert "Another program" in state.note
            # It is done, as the library would be.
            blob.write_bytes(content)
        state = await stream.wait()
    assert state.stage == "done" and state.fetched == 0 and hub.bytes_served == 0


async def test_pulls_wait_in_a_queue_and_each_can_be_given_up(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str
) -> None:
    hub.add("org/second-GGUF", {"second-Q8_0.gguf": noise(9000, 3)})
    hub.add("org/third-GGUF", {"third-Q8_0.gguf": noise(9000, 4)})
    hub.rate = 2e6
    async with opened(connections=1) as service:
        first = service.pull(PullRequest(model=NAME))
        second = service.pull(PullRequest(model="org/second-GGUF"))
        third = service.pull(PullRequest(model="org/third-GGUF"))
        async for state in first:
            if state.done:
                break
        assert [state.stage for state in service.pulls()] == ["fetching", "queued", "queued"]
        assert [state.position for state in service.pulls()] == [0, 1, 2]
        assert await service.cancel(second.id) and not await service.cancel("nobody")
        assert (await second.wait()).stage == "cancelled"
        first.cancel()
        assert (await first.wait()).stage == "cancelled"
        assert (await third.wait()).stage == "done"
        assert {state.stage for state in service.pulls()} == {"done", "cancelled"}
        assert not await service.cancel(third.id)


async def test_the_same_pull_twice_is_one(hub: HubServer, opened: Open, commit: str) -> None:
    hub.rate = 4e5  # not done before the last has asked, however busy the machine is
    async with opened() as service:
        one = service.pull(PullRequest(model=NAME))
        two = service.pull(PullRequest(model=f"https://huggingface.co/{NAME}"))
        async for state in one:
            if state.done:
                break
        three, four = service.pull(PullRequest(model=NAME)), service.pull(PullRequest(model=f"{NAME}:Q4_K_M"))
        hub.rate = None
        states = await asyncio.gather(*(stream.wait() for stream in (one, two, three, four)))
        assert len(service.pulls()) == 1
    assert [state.stage for state in states] == ["done"] * 4 and hub.bytes_served == SIZE
    one.cancel()


async def test_after_the_end_a_pull_is_refused_in_words(opened: Open) -> None:
    async with opened() as service:
        await service.cancel("nobody")
    state = await pulled(service, NAME)
    assert state.stage == "failed" and state.error is not None and state.error.code == "model_unavailable"


async def test_where_links_are_impossible_the_files_themselves_are_there(
    hub: HubServer, opened: Open, cache: Path, content: bytes, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import scan_cache_dir

    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    async with opened() as service:
        state = await pulled(service, NAME)
    assert link_of(state) == "" and held(state) == content
    assert not scan_cache_dir(cache).warnings


async def test_closing_ends_what_runs(hub: HubServer, opened: Open, commit: str) -> None:
    hub.rate = 1e6
    async with opened() as service:
        stream = service.pull(PullRequest(model=NAME))
        async for state in stream:
            if state.fetched:
                break
    assert (await stream.wait()).stage == "cancelled"

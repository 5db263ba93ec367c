"""`hearth search`, `pull`, `rm --weights` and `cache`, against a hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Open
from tests.cli.inside import Done
from tests.cli.inside import Hearth as Inside
from tests.cli.terminal import hearth
from tests.hub.server import HubServer
from tests.weights import tiny_chat

NAME = "org/tiny-GGUF"
Hearth = Callable[..., Done]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def content(hub: HubServer, tmp_path: Path) -> bytes:
    """What the hub has as the usual quantisation of `NAME`."""
    content = tiny_chat(tmp_path).read_bytes()
    hub.add(
        NAME,
        {"README.md": b"# tiny", "tiny-Q4_K_M.gguf": content, "tiny-Q8_0.gguf": content + bytes(64)},
        about={"tags": ["gguf", "license:mit"], "downloads": 1_234_567, "likes": 3},
    )
    return content


@pytest.fixture
def ask(
    hub: HubServer,
    hearth_home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Hearth:
    """Runs `hearth` against that hub, with a cache of its own."""
    inside = Inside(capsys, monkeypatch)

    def it(*arguments: str, **extra: str) -> Done:
        said = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0", **extra}
        return inside(*arguments, **said)

    return it


def test_a_pull_prints_the_path_and_says_on_stderr_how_far_it_is(ask: Hearth, content: bytes) -> None:
    done = ask("pull", f"hf.co/{NAME}")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == content
    assert f"{NAME}:Q4_K_M: done" in done.stderr and "\x1b" not in done.stderr + done.stdout
    listed = ask("models").stdout
    assert f"{NAME}:Q4_K_M" in listed and "huggingface" in listed


def test_a_pull_as_json_has_every_field(ask: Hearth, content: bytes) -> None:
    (state,) = json.loads(ask("pull", NAME, "--quant", "Q8_0", "--json").stdout)
    assert (state["stage"], state["model"], state["size"]) == ("done", f"{NAME}:Q8_0", len(content) + 64)
    (failed,) = json.loads(ask("pull", NAME, "--quant", "Q2_K", "--json").stdout)
    assert failed["stage"] == "failed" and failed["error"]["code"] == "model_not_found"


def test_several_pulls_go_on_when_one_fails(ask: Hearth, content: bytes) -> None:
    done = ask("pull", "org/nothing", NAME, "../../etc")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "'org/nothing'" in done.stderr and "'../../etc' does not name a model" in done.stderr


def test_a_dry_run_compares_and_fetches_no_weights(ask: Hearth, hub: HubServer, content: bytes) -> None:
    done = ask("pull", NAME, "--dry-run")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0].startswith(f"{NAME}:Q4_K_M at ")
    (chosen,) = [row for row in rows if row.startswith("*")]
    assert chosen.split()[1] == "Q4_K_M" and chosen.endswith("fits")
    assert any("Q8_0" in row for row in rows) and "free on the disk" in rows[-1]
    # Only what its sizes are read from.
    assert hub.bytes_served <= 4 * (512 << 10)
    (plan,) = json.loads(ask("pull", NAME, "--dry-run", "--json").stdout)
    assert plan["chosen"]["name"] == "Q4_K_M" and plan["missing"] == len(content)


def test_on_a_terminal_a_pull_shows_a_bar_and_takes_it_away(
    on_terminal: Open, hub: HubServer, content: bytes, tmp_path: Path
) -> None:
    terminal = on_terminal(
        *hearth("pull", NAME),
        HF_ENDPOINT=hub.endpoint,
        HF_HOME=str(tmp_path / "hf"),
        HF_HUB_OFFLINE="0",
    )
    assert terminal.wait() == 0
    assert b"tiny-Q4_K_M.gguf" in terminal.screen and "━".encode() in terminal.screen


def test_a_search_lists_the_hub_and_this_machine(ask: Hearth, content: bytes) -> None:
    done = ask("search", "tiny", "--gguf", "--sort", "likes", "--limit", "5")
    assert done.returncode == 0, done.stderr
    head, row = done.stdout.splitlines()
    assert head.split()[:5] == ["MODEL", "PARAMS", "FIT", "FORMATS", "DOWNLOADS"]
    assert row.split()[:5] == [NAME, "-", "gguf", "1.2M", "3"]
    page = json.loads(ask("search", "tiny", "--json").stdout)
    assert page["models"][0]["licence"] == "mit" and page["problem"] is None


def test_a_search_without_a_network_lists_this_machine(ask: Hearth) -> None:
    done = ask("search", "ember", HF_HUB_OFFLINE="1")
    assert done.returncode == 0
    assert "ember" in done.stdout and "offline" in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--sort", "name"), "order"),
        (("--limit", "0"), "limit"),
        (("--gguf", "--mlx"), "two formats"),
        (("--max-params", "many"), "'many'"),
        (("--task", "../x"), "task"),
        (("--author", "a/b"), "author"),
    ],
)
def test_a_search_that_cannot_be_made_is_a_usage_error(
    ask: Hearth, flags: tuple[str, ...], said: str
) -> None:
    done = ask("search", *flags)
    assert done.returncode == 2
    assert said in done.stderr.lower() and "Traceback" not in done.stderr


def test_weights_are_deleted_only_when_they_are_named_and_confirmed(
    ask: Hearth, content: bytes, tmp_path: Path
) -> None:
    ask("pull", NAME)
    refused = ask("rm", NAME)
    assert refused.returncode == 2 and f"hearth rm --weights {NAME}" in refused.stderr
    unasked = ask("rm", "--weights", NAME)
    assert unasked.returncode == 2 and "--yes" in unasked.stderr
    said = ask("rm", "--weights", f"{NAME}:Q4_K_M", "--dry-run")
    assert "would be freed" in said.stdout and (tmp_path / "hf/hub/models--org--tiny-GGUF").exists()
    done = ask("rm", "--weights", f"{NAME}:Q4_K_M", "--yes")
    assert done.returncode == 0 and "freed." in done.stdout
    assert not (tmp_path / "hf/hub/models--org--tiny-GGUF").exists()
    again = ask("rm", "--weights", NAME, "--yes")
    assert again.returncode == 1 and "not in the cache" in again.stderr


def test_on_a_terminal_a_person_is_asked(
    on_terminal: Open, ask: Hearth, hub: HubServer, content: bytes, tmp_path: Path
) -> None:
    folder = Path(ask("pull", NAME).stdout.strip())
    said = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf")}
    terminal = on_terminal(*hearth("rm", "--weights", NAME), **said)
    terminal.expect(b"[y/N]")
    terminal.send(b"n\r")
    assert terminal.wait() == 1 and folder.exists()
    terminal = on_terminal(*hearth("rm", "--weights", NAME), **said)
    terminal.expect(b"[y/N]")
    terminal.send(b"y\r")
    assert terminal.wait() == 0 and not folder.exists()


def test_a_model_of_a_folder_is_not_deleted(ask: Hearth) -> None:
    done = ask("rm", "--weights", "ember", "--yes")
    assert done.returncode == 2 and "does not lie in the model cache" in done.stderr


def test_the_cache_is_scanned_pruned_and_cleared(ask: Hearth, hub: HubServer, content: bytes) -> None:
    ask("pull", NAME)
    hub.add(NAME, {"tiny-Q4_K_M.gguf": content[:-1] + b"x"})
    done = ask("cache", "scan", "--newer", "--files")
    head, row, file, total = done.stdout.splitlines()
    assert head.split()[:3] == ["REPOSITORY", "KIND", "SIZE"]
    assert row.split()[:2] == [NAME, "model"] and "main" in row and "newer at the hub" in row
    assert "tiny-Q4_K_M.gguf" in file and total.endswith("hf/hub")
    scanned = json.loads(ask("cache", "scan", "--json").stdout)
    assert scanned["repositories"][0]["size"] == len(content)
    assert ask("cache", "verify").stdout == f"{NAME}: 1 file, {len(content) / 1000:.1f} kB, sound\n"
    assert ask("cache", "prune").stdout == "0 B freed.\n"
    cleared = ask("cache", "clear", "--yes")
    assert cleared.returncode == 0 and f"{NAME}: all of it" in cleared.stdout
    assert json.loads(ask("cache", "scan", "--json").stdout)["repositories"] == []

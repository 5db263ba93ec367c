"""Repositories that mean harm: their trees, names, cards and answers change nothing outside the cache."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from engine.errors import HearthError, PullFailed
from engine.hub.listing import is_safe
from engine.types import HubQuery, PullRequest
from tests.hub.conftest import Open, noise, pulled
from tests.hub.server import File, HubServer

NAME = "org/evil-GGUF"
PATHS = [
    "../x.gguf", "../../../../x.gguf", "a/../../x.gguf", "/etc/x.gguf", "//h/x.gguf", "C:\\x.gguf", "C:/x.gguf",
    "..\\x.gguf", "a\\b.gguf", "./x.gguf", "a/./x.gguf", "a//x.gguf", "x.gguf/", "", ".", "..", "x\0.gguf",
    "x\n.gguf", "x\x1b[2J.gguf", "x\u202e.gguf", "con:x.gguf", "x" * 300 + ".gguf", "d/" * 600 + "x.gguf",
    "x.gguf.", "x.gguf ", "m" * 1_000_000,
]  # fmt: skip


def everything(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, with what it is."""
    return {
        str(path.relative_to(folder)): "link"
        if path.is_symlink()
        else hashlib.sha1(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def shown(cache: Path) -> list[Path]:
    """The revisions that programs would find."""
    return list(cache.glob("*/snapshots/*"))


def is_untouched(cache: Path) -> bool:
    return not cache.exists()


def strays(cache: Path) -> list[Path]:
    """What lies in the cache and leads out of it."""
    return [path for path in cache.rglob("*") if cache not in path.resolve().parents]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: repr(path[:24]))
def test_paths_that_are_none_are_left_out(path: str) -> None:
    assert not is_safe(path)


@pytest.mark.parametrize(
    "path", ["a.gguf", "a/b/c-Q4_K_M.gguf", ".gitattributes", "ü/模型.gguf", "a b.gguf", "[x].md"]
)
def test_paths_of_strangers_that_are_sound_stay(path: str) -> None:
    assert is_safe(path)


async def test_a_hostile_tree_changes_nothing_outside_the_cache(
    hub: HubServer, opened: Open, cache: Path, tmp_path: Path
) -> None:
    hub.add(NAME, {"good-Q4_K_M.gguf": noise(10_000)})
    content = noise(9000, 5)
    hub.repositories[NAME].entries = [File(content, True).entry(path) for path in PATHS]
    (tmp_path / "x.gguf").write_text("precious")
    before = everything(tmp_path)
    async with opened() as service:
        offer = await service.offer(NAME)
        state = await pulled(service, NAME)
    assert state.stage == "done", state.error
    assert [each.name for each in offer.quantisations] == ["Q4_K_M"]
    assert len(offer.unsafe) == len(PATHS) and all(len(name) <= 80 for name in offer.unsafe)
    after = everything(tmp_path)
    inside = f"{cache.relative_to(tmp_path)}/"
    assert {path: kind for path, kind in after.items() if not path.startswith(inside)} == before


@pytest.mark.parametrize(
    "entry",
    [
        {"lfs": {"oid": "../../../x", "size": 9000, "pointerSize": 1}},
        {"lfs": {"oid": "A" * 64, "size": 9000, "pointerSize": 1}},
        {"lfs": {"oid": "0" * 64, "size": -1, "pointerSize": 1}},
        {"lfs": {"oid": "0" * 64, "size": 2**60, "pointerSize": 1}},
        {"oid": "../../x"},
        {"oid": "0" * 39},
    ],
)
async def test_content_without_a_sound_name_is_no_file(
    hub: HubServer, opened: Open, cache: Path, entry: dict[str, object]
) -> None:
    hub.add(NAME, {"README.md": b"x"})
    hub.repositories[NAME].entries = [
        {"type": "file", "path": "m-Q4_K_M.gguf", "oid": "0" * 40, "size": 9000, **entry}
    ]
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.stage == "failed" and is_untouched(cache)


async def test_a_file_and_a_folder_of_one_name_end_in_words(
    hub: HubServer, opened: Open, cache: Path
) -> None:
    hub.add(NAME, {"m-Q4_K_M-00001-of-00002.gguf": noise(9000, 1)})
    other = File(noise(9000, 2), True)
    hub.add(NAME, {"m-Q4_K_M.gguf": noise(9000, 1), "m-Q4_K_M.gguf/mmproj-f16.gguf": other.content})
    async with opened() as service:
        state = await pulled(service, f"{NAME}:Q4_K_M")
    # The projector belongs to a folder below, so it is none of the file's; whichever way, nothing breaks out.
    assert state.stage in ("done", "failed")
    assert strays(cache) == []


async def test_a_commit_that_is_none_is_refused(hub: HubServer, opened: Open, cache: Path) -> None:
    hub.add(NAME, {"m-Q4_K_M.gguf": noise(9000)}, about={"sha": "../../../evil"})
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.error is not None and state.error.code == PullFailed.code and is_untouched(cache)


async def test_a_listing_that_lies_about_its_content_shows_nothing(
    hub: HubServer, opened: Open, cache: Path
) -> None:
    hub.add(NAME, {"m-Q4_K_M.gguf": noise(9000)})
    (files,) = hub.repositories[NAME].commits.values()
    served = files["m-Q4_K_M.gguf"]
    listed = File(noise(9000, 9), True)
    entry = {**served.entry("m-Q8_0.gguf"), "lfs": listed.entry("x")["lfs"]}
    hub.repositories[NAME].entries = [entry]
    files["m-Q8_0.gguf"] = served
    page = hub.repositories[NAME]
    page.entries = [entry]
    async with opened() as service:
        state = await pulled(service, f"{NAME}:Q8_0")
    assert state.stage == "failed" and shown(cache) == []


CARD = (
    "---\nlicense: mit\nevil: [red]\n---\n"
    "# Hi\x1b]0;owned\x07\x1b[2J [@click=app.quit]x[/] [/nope]\u202e<script>alert(1)</script>\x9b31m\n"
    + "A"
    * 300_000
)


async def test_a_card_is_text_without_anything_that_steers_a_terminal(hub: HubServer, opened: Open) -> None:
    hub.add(
        NAME,
        {"README.md": CARD.encode()},
        about={"tags": ["license:\x1b[31mmit", "gguf", "x" * 5000, "base_model:quantized:org/base"]},
    )
    async with opened() as service:
        card = await service.card(NAME)
    assert card.text.startswith("# Hi]0;owned[2J [@click=app.quit]x[/] [/nope]<script>")
    every = json.dumps([card.text, card.tags, card.model.licence])
    assert not any(mark in every for mark in ("\\u001b", "\\u009b", "\\u202e", "\\u0007"))
    assert all(len(tag) <= 80 for tag in card.tags) and card.base == ("org/base",)


async def test_a_search_whose_answers_mean_harm_is_cleaned(hub: HubServer, opened: Open) -> None:
    hub.add(
        NAME,
        {"m.gguf": b"x"},
        about={"pipeline_tag": "text\x1b[2J", "downloads": -5, "gguf": "what", "likes": 3},
    )
    for name in ("../evil/x", "org/\x1b[2J", "x" * 300 + "/y"):
        hub.add(name, {"m.gguf": b"x"})
    async with opened() as service:
        (found,) = await service.search(HubQuery())
    assert (found.id, found.task, found.downloads, found.likes, found.parameters) == (
        NAME,
        "text[2J",
        0,
        3,
        0,
    )


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"[" * 100_000, b'{"id": 5}', b"\xff\xfe", b'[{"id": null}]', b'{"id": "org/x"}', b""],
    ids=lambda answer: repr(answer[:12]),
)
async def test_answers_that_are_none_are_refused_in_words(
    hub: HubServer, opened: Open, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, {"m.gguf": b"x"})
    monkeypatch.setattr(
        "tests.hub.server.Handler.json", lambda self, value, headers=None: self.send(200, answer)
    )
    async with opened() as service:
        with pytest.raises(HearthError):
            await service.search(HubQuery())
        with pytest.raises(HearthError):
            await service.plan(PullRequest(model=NAME))


async def test_a_file_that_pretends_to_be_packed_is_refused(
    hub: HubServer, opened: Open, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, {"m-Q4_K_M.gguf": noise(9000)})

    def packed(handler: object, etag: str, part: bytes, begin: int) -> bool:
        handler.stream(206, part, etag, {"Content-Encoding": "gzip", "Content-Range": "bytes 0-8999/9000"})  # type: ignore[attr-defined]
        return True

    hub.faults = [packed]
    async with opened() as service:
        state = await pulled(service, NAME)
    assert state.error is not None and "packed" in state.error.why
    assert shown(cache) == []

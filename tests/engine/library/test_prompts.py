"""Named system prompts: versions are added, shown, taken back, and never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import InvalidRequest, StorageFailed
from engine.library.prompts import Prompts, split


@pytest.fixture
def prompts(tmp_path: Path) -> Prompts:
    return Prompts(tmp_path / "home" / "prompts.json")


def test_versions(prompts: Prompts) -> None:
    assert prompts.put("Poet", "one", "first try") == 1
    assert prompts.put("poet", "two") == 2
    assert prompts.put("poet", "two") == 2, "the same again is no new version"
    (poet,) = prompts.all()
    assert poet.name == "Poet"
    assert [(each.text, each.note) for each in poet.versions] == [("one", "first try"), ("two", "")]
    assert poet.versions[0].created > 1.7e9
    assert (prompts.text("POET"), prompts.text("poet@1"), prompts.text("poet@2")) == ("two", "one", "two")
    assert prompts.restore("poet", 1) == 3
    assert prompts.text("poet") == "one" and prompts.get("poet").versions[-1].note == "version 1 again"
    prompts.remove("POET")
    assert prompts.all() == []


@pytest.mark.parametrize("name", ["poet@0", "poet@9", "poet@x", "poet@", "nobody", "pot"])
def test_what_is_not_there_is_said(prompts: Prompts, name: str) -> None:
    prompts.put("poet", "one")
    with pytest.raises(InvalidRequest) as caught:
        prompts.text(name)
    assert caught.value.param == "prompt" and caught.value.fix


@pytest.mark.parametrize(
    ("name", "text"), [("a@1", "x"), ("../a", "x"), ("a", " \n"), ("a", "x" * 1_000_001)]
)
def test_what_cannot_be_is_refused(prompts: Prompts, name: str, text: str) -> None:
    with pytest.raises(InvalidRequest):
        prompts.put(name, text)
    assert prompts.all() == []


def test_a_broken_one_is_told_apart(prompts: Prompts, tmp_path: Path) -> None:
    prompts.put("good", "text")
    file = tmp_path / "home" / "prompts.json"
    whole = json.loads(file.read_text())
    whole["prompts"]["bad"] = {"versions": []}
    file.write_text(json.dumps(whole, indent=1))
    assert [(each.name, bool(each.broken)) for each in prompts.all()] == [("bad", True), ("good", False)]
    with pytest.raises(InvalidRequest, match="line"):
        prompts.text("bad")
    with pytest.raises(StorageFailed):
        prompts.put("bad", "over it")
    prompts.remove("bad")
    assert [each.name for each in prompts.all()] == ["good"]


def test_references() -> None:
    assert split("a") == ("a", None) and split("a@12") == ("a", 12)

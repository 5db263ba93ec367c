"""Adapters as they are written, shown, and told by the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.types import AdapterRef
from tui.asking.adapters import adapters, named, shown, without_adapter, written

PIRATE, POET = AdapterRef("pirate"), AdapterRef("poet", 0.5)
NAMES = st.text(alphabet="abc-_", min_size=1, max_size=8).filter(lambda name: name not in ("base", "none"))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", None),
        ("default", None),
        ("base", ()),
        ("none", ()),
        ("pirate", (PIRATE,)),
        ("pirate+poet=0.5", (PIRATE, POET)),
    ],
)
def test_what_is_written_is_what_is_asked_for(text: str, chosen: tuple[AdapterRef, ...] | None) -> None:
    assert adapters(text) == chosen


@given(
    st.lists(st.tuples(NAMES, st.integers(-200, 200)), min_size=1, max_size=8, unique_by=lambda pair: pair[0])
)
def test_what_was_chosen_can_be_written_and_read_again(pairs: list[tuple[str, int]]) -> None:
    chosen = tuple(AdapterRef(name, scale / 10) for name, scale in pairs)
    assert adapters(written(chosen)) == chosen


def test_a_name_that_holds_a_plus_is_meant_whole_where_it_is_known() -> None:
    assert adapters("a+b", known=["a+b"]) == (AdapterRef("a+b"),)


@pytest.mark.parametrize("text", ["pirate=much", "+", "base+pirate", "pirate=1000"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        adapters(text)


def test_people_read_names_and_scales() -> None:
    assert shown((PIRATE, POET)) == "pirate + poet × 0.5" and shown(()) == ""


@pytest.mark.parametrize(
    ("path", "asked", "model", "name"),
    [
        ("/m/adapters/pirate.gguf", None, "ember", "pirate"),
        ("/m/adapters/pirate/adapter.gguf", None, "ember", "pirate"),
        ("/cache/" + "ab" * 20 + ".gguf", (PIRATE,), "ember", "pirate"),
        ("/cache/" + "ab" * 20 + ".gguf", None, "ember:pirate", "pirate"),
        ("/cache/" + "ab" * 20 + ".gguf", None, "ember:pirate=1", "pirate"),
        ("/cache/" + "ab" * 20 + ".gguf", None, "ember", "default"),
        ("/m/adapters/pirate.gguf", (AdapterRef("base"), PIRATE), "ember", "pirate"),
        ("elsewhere.gguf", None, "ember", "elsewhere"),
    ],
)
def test_a_file_is_told_by_the_name_that_people_know(
    path: str, asked: tuple[AdapterRef, ...] | None, model: str, name: str
) -> None:
    assert named((AdapterRef(path),), asked, model, known=["pirate"]) == (AdapterRef(name),)


@pytest.mark.parametrize(
    ("model", "alone"),
    [
        ("ember", "ember"),
        ("ember:pirate", "ember"),
        ("qwen3:8b", "qwen3:8b"),
        ("qwen3:8b:pirate", "qwen3:8b"),
        ("scripted:text=a", "scripted:text=a"),
    ],
)
def test_a_colon_may_be_part_of_a_models_name(model: str, alone: str) -> None:
    assert without_adapter(model, ("ember", "qwen3:8b")) == alone


def test_a_tag_is_no_adapter() -> None:
    assert named((AdapterRef("/a/adapters/pirate.gguf"),), None, "qwen3:8b", known=["pirate"]) == (PIRATE,)


def test_scales_are_those_that_were_used() -> None:
    made_with = (AdapterRef("/a/one.gguf", 2.0), AdapterRef("/a/two.gguf"))
    assert named(made_with, (PIRATE, POET), "ember") == (AdapterRef("pirate", 2.0), AdapterRef("poet"))

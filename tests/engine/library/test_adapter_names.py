"""What may follow the colon of `model:adapter`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.library.adapter_names import MAX_SCALE, MOST_AT_ONCE, parse
from engine.types import AdapterRef

KNOWN = ("poet", "pirate", "a+b", "x=2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("poet", [("poet", 1.0)]),
        ("poet=0.5", [("poet", 0.5)]),
        ("poet=-2", [("poet", -2.0)]),
        ("poet=.25", [("poet", 0.25)]),
        ("poet=0", [("poet", 0.0)]),
        ("poet+pirate", [("poet", 1.0), ("pirate", 1.0)]),
        ("poet=0.5+pirate=2", [("poet", 0.5), ("pirate", 2.0)]),
        ("default+poet=3", [("default", 1.0), ("poet", 3.0)]),
        ("base", []),
        ("NONE", []),
        ("A+B", [("A+B", 1.0)]),
        ("x=2", [("x=2", 1.0)]),
        ("absent", [("absent", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_names_and_scales_are_read(text: str, expected: list[tuple[str, float]]) -> None:
    assert parse(text, KNOWN) == tuple(AdapterRef(*each) for each in expected)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "poet=",
            "poet=x",
            "poet=1e2",
            "poet=inf",
            "poet=nan",
            "poet=--1",
            "poet=101",
            "poet=0x1",
            "poet=1=2",
        ),
        *("poet=١", "poet= 1", "poet+", "+poet", "+", "=1", "poet++pirate", "base+poet", "poet+none=1"),
        "+".join(["poet"] * (MOST_AT_ONCE + 1)),
    ],
)
def test_what_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(text, KNOWN)
    assert "model:poet=0.5" in caught.value.fix


@given(text=st.text(alphabet=st.sampled_from("ab+=.0123456789-e \x00٣é"), max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text, KNOWN)
    except InvalidRequest as error:
        assert len(str(error)) < 500
    else:
        assert len(found) <= MOST_AT_ONCE
        assert all(abs(each.scale) <= MAX_SCALE for each in found)


names = st.text(alphabet="abcdefgh-_.", min_size=1, max_size=10).filter(
    lambda name: name not in ("base", "none")
)


@given(st.lists(st.tuples(names, st.integers(-10_000, 10_000)), min_size=1, max_size=MOST_AT_ONCE))
def test_what_is_written_is_read_back(pairs: list[tuple[str, int]]) -> None:
    wanted = tuple(AdapterRef(name, hundredths / 100) for name, hundredths in pairs)
    assert parse("+".join(f"{each.name}={each.scale:.2f}" for each in wanted), ()) == wanted

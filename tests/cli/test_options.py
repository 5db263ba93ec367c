"""The option table: what it makes of texts, what it refuses, and that flags and docs come from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.options import BY_NAME, OPTIONS, docs, request_fields
from engine.errors import InvalidRequest
from engine.types import AdapterRef, GenerationRequest

GIVEN = {
    "system": ("You are a pirate.",),
    "max_new_tokens": ("12",),
    "temperature": ("0.5",),
    "top_p": ("0.8",),
    "top_k": ("7",),
    "min_p": ("0.1",),
    "repetition_penalty": ("1.1",),
    "presence_penalty": ("-0.5",),
    "frequency_penalty": ("0.25",),
    "stop": ("one", "two"),
    "seed": ("3",),
    "ctx": ("512",),
    "keep_alive": ("1h30m",),
    "adapter": ("pirate", "./calm.gguf=0.5"),
    "backend": ("scripted",),
}


def test_every_option_reaches_the_request() -> None:
    assert set(GIVEN) == set(BY_NAME)
    request = GenerationRequest(model="ember", **request_fields(GIVEN))
    assert request.system == "You are a pirate."
    assert request.max_tokens == 12
    assert request.sampling == {
        "temperature": 0.5,
        "top_p": 0.8,
        "top_k": 7,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.25,
        "seed": 3,
    }
    assert request.stop == ("one", "two")
    assert request.load.context == 512
    assert request.keep_alive == 5400.0
    assert request.adapters == (AdapterRef("pirate"), AdapterRef("./calm.gguf", 0.5))
    assert request.backend == "scripted"


def test_what_is_not_said_stays_absent() -> None:
    assert request_fields({}) == {}
    assert request_fields({"top_k": ("1",)}) == {"sampling": {"top_k": 1}}


def test_an_empty_adapter_means_none_at_all() -> None:
    assert request_fields({"adapter": ("",)}) == {"adapters": ()}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "warm"),
        ("temperature", "9"),
        ("temperature", "nan"),
        ("top_p", "1.5"),
        ("top_k", "-1"),
        ("top_k", "1.5"),
        ("presence_penalty", "3"),
        ("seed", "x"),
        ("max_new_tokens", "-1"),
        ("ctx", "2"),
        ("stop", ""),
        ("stop", "x" * 257),
        ("keep_alive", "soon"),
        ("keep_alive", "inf"),
        ("adapter", "pirate=much"),
        ("adapter", "=1"),
        ("backend", "vllm"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_flag_and_value(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request_fields({"system": ("hello",), name: (text,)})
    assert BY_NAME[name].flag in caught.value.what
    assert repr(text) in caught.value.what
    assert caught.value.why
    assert BY_NAME[name].help in caught.value.fix
    assert caught.value.param == name


@given(name=st.sampled_from([option.name for option in OPTIONS]), text=st.text(max_size=40))
def test_any_text_is_a_value_or_one_clear_error(name: str, text: str) -> None:
    try:
        fields = request_fields({name: (text,)})
    except InvalidRequest as error:
        assert error.param == name
    else:
        GenerationRequest(model="ember", **fields)


def test_the_docs_page_is_the_table(repository: Path) -> None:
    assert (repository / "docs" / "options.md").read_text(encoding="utf-8") == docs()

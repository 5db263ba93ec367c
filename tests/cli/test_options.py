"""The option table: what it makes of texts, what it refuses, and that flags and docs come from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.options import BY_NAME, OPTIONS, canonical, docs, request_fields
from engine.errors import InvalidRequest
from engine.types import (
    AdapterRef,
    CachePolicy,
    Constraint,
    GenerationRequest,
    LoadOptions,
    Logprobs,
    Thinking,
    Tool,
    ToolChoice,
)

GIVEN = {
    "system": ("You are a pirate.",),
    "max_new_tokens": ("12",),
    "stop": ("one", "two"),
    "adapter": ("pirate", "./calm.gguf=0.5"),
    "overflow": ("shift",),
    "image_max_side": ("512",),
    "load_in_8bit": ("on",),
    "load_in_4bit": ("off",),
    "cache": ("off",),
    "logprobs": ("3",),
    "think": ("on",),
    "effort": ("high",),
    "think_budget": ("64",),
    "hide_thinking": ("on",),
    "tools": ("tools.json",),
    "tool_choice": ("weather",),
    "temperature": ("0.5",),
    "top_p": ("0.8",),
    "top_k": ("7",),
    "min_p": ("0.1",),
    "repetition_penalty": ("1.1",),
    "presence_penalty": ("-0.5",),
    "frequency_penalty": ("0.25",),
    "seed": ("3",),
    "sampling": ("typical-p=0.5", 'samplers=["top_k"]'),
    "ctx": ("512",),
    "slots": ("2",),
    "device": ("cuda:1",),
    "split": ("3,1",),
    "gpu_layers": ("-1",),
    "kv_type": ("q8_0",),
    "draft_model": ("ember",),
    "draft_tokens": ("8",),
    "keep_alive": ("1h30m",),
    "backend": ("scripted",),
}
FORMS: Mapping[str, tuple[tuple[str, ...], Constraint]] = {
    "json": (("on",), Constraint(kind="json")),
    "schema": (("schema.json",), Constraint(kind="schema", value={"type": "object"})),
    "regex": (("[0-9]+",), Constraint(kind="regex", value="[0-9]+")),
    "choice": (("yes", "no"), Constraint(kind="choice", value=["yes", "no"])),
    "grammar": (("grammar.gbnf",), Constraint(kind="grammar", value='root ::= "a"')),
}
"""The options of which one may hold at a time, with what each makes."""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that options name, in the current folder."""
    (tmp_path / "tools.json").write_text('[{"type": "function", "function": {"name": "weather"}}]')
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    (tmp_path / "grammar.gbnf").write_text('root ::= "a"')
    monkeypatch.chdir(tmp_path)


def test_every_option_reaches_the_request() -> None:
    assert {*GIVEN, *FORMS} == set(BY_NAME)
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
        "typical_p": 0.5,
        "samplers": ["top_k"],
    }
    assert request.stop == ("one", "two")
    assert request.load == LoadOptions(
        context=512,
        slots=2,
        device="cuda:1",
        split="3,1",
        load_in_8bit=True,
        gpu_layers=-1,
        kv_type="q8_0",
        draft_model="ember",
        draft_tokens=8,
    )
    assert request.keep_alive == 5400.0
    assert request.adapters == (AdapterRef("pirate"), AdapterRef("./calm.gguf", 0.5))
    assert request.backend == "scripted"
    assert request.image_max_side == 512
    assert request.overflow == "shift"
    assert request.cache == CachePolicy(read=False, write=False)
    assert request.logprobs == Logprobs(top=3)
    assert request.thinking == Thinking(enabled=True, effort="high", budget=64, visible=False)
    assert request.tools == (Tool(name="weather"),)
    assert request.tool_choice == ToolChoice(mode="named", names=("weather",))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_an_answer_is_a_constraint(name: str) -> None:
    texts, constraint = FORMS[name]
    assert request_fields({name: texts}) == {"constraint": constraint}


def test_two_forms_at_once_are_refused_and_both_are_named() -> None:
    with pytest.raises(InvalidRequest, match="--json and --regex cannot both hold"):
        request_fields({"json": ("on",), "regex": ("a",)})
    assert request_fields({"json": ("off",), "regex": ("a",)})["constraint"].kind == "regex"
    assert request_fields({"regex": ("a",), "json": ("off",)})["constraint"].kind == "regex"
    assert request_fields({"json": ("off",)})["constraint"] == Constraint(kind="text")


@pytest.mark.parametrize("text", ["auto", "on", "off"])
def test_thinking_is_on_off_or_left_to_the_model(text: str) -> None:
    wanted = {"auto": None, "on": True, "off": False}[text]
    assert request_fields({"think": (text,)})["thinking"] == Thinking(enabled=wanted)


def test_other_names_stand_for_the_same_option() -> None:
    assert [canonical(name) for name in ("max-tokens", "max_tokens", "context", "json_mode", "seed")] == [
        "max_new_tokens",
        "max_new_tokens",
        "ctx",
        "json",
        "seed",
    ]


def test_what_is_not_said_stays_absent() -> None:
    assert request_fields({}) == {}
    assert request_fields({"top_k": ("1",)}) == {"sampling": {"top_k": 1}}


@pytest.mark.parametrize("text", ["", "base", "none", "Base"])
def test_base_and_an_empty_adapter_mean_none_at_all(text: str) -> None:
    assert request_fields({"adapter": (text,)}) == {"adapters": ()}


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
        ("sampling", "typical_p"),
        ("sampling", "typical_p=2"),
        ("sampling", "temperature=9"),
        ("sampling", "warmth=1"),
        ("max_new_tokens", "-1"),
        ("ctx", "2"),
        ("stop", ""),
        ("stop", "x" * 257),
        ("keep_alive", "soon"),
        ("keep_alive", "inf"),
        ("adapter", "pirate=much"),
        ("adapter", "=1"),
        ("adapter", "pirate=101"),
        ("adapter", "pirate=nan"),
        ("overflow", "perhaps"),
        ("cache", "perhaps"),
        ("logprobs", "101"),
        ("think", "perhaps"),
        ("effort", "huge"),
        ("think_budget", "-1"),
        ("json", "perhaps"),
        ("schema", "missing.json"),
        ("schema", "grammar.gbnf"),
        ("schema", "[1]"),
        ("regex", ""),
        ("choice", ""),
        ("grammar", "missing.gbnf"),
        ("tools", "schema.json"),
        ("tools", "missing.json"),
        ("tool_choice", "a,,b"),
        ("slots", "0"),
        ("kv_type", "q1"),
        ("draft_tokens", "-1"),
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


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "function", "tools", "parameters", "x"]), inner, max_size=3
            )
        ),
    )
)
def test_any_json_is_a_file_of_tools_or_one_clear_error(value: object) -> None:
    Path("any.json").write_text(json.dumps(value))
    try:
        fields = request_fields({"tools": ("any.json",)})
    except InvalidRequest as error:
        assert error.param == "tools" and error.why
    else:
        assert all(tool.name for tool in fields["tools"])


def test_base_cannot_be_added_to() -> None:
    with pytest.raises(InvalidRequest, match="nothing can be added"):
        request_fields({"adapter": ("pirate", "base")})


def test_the_docs_page_is_the_table(repository: Path) -> None:
    assert (repository / "docs" / "options.md").read_text(encoding="utf-8") == docs()

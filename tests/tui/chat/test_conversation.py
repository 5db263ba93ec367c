"""The tree: nothing is destroyed, the path is one line from a first message to a last."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import (
    AdapterRef,
    CacheMiss,
    Constraint,
    Timings,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from tui.screens.chat.conversation import ROOT, Controls, Conversation, Conversations, title_of

CALL = ToolCall(id="1", name="weather", arguments='{"city": "Quito"}')
STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "again", "edit", "back", "on", "select"]), st.integers(0, 30)),
    max_size=40,
)


def play(steps: list[tuple[str, int]]) -> tuple[Conversation, list[str]]:
    """A conversation after `steps`, and every text that was ever in it."""
    talk = Conversation(id="c")
    texts: list[str] = []
    for number, (step, pick) in enumerate(steps):
        text = f"text {number}"
        nodes = list(talk.nodes)
        node = talk.nodes[nodes[pick % len(nodes)]] if nodes else None
        leaf = talk.leaf
        if step == "ask" or node is None:
            question = talk.add(leaf.id if leaf else ROOT, "user", text)
            talk.add(question.id, "assistant", f"answer {number}", model="ember")
            texts += [text, f"answer {number}"]
        elif step == "again" and node.role == "assistant":
            talk.add(node.parent, "assistant", text)
            texts.append(text)
        elif step == "edit":
            talk.sibling(node.id, text)
            texts.append(text)
        elif step in ("back", "on"):
            talk.step(node.id, -1 if step == "back" else 1)
        else:
            talk.select(node.id)
    return talk, texts


@given(STEPS)
def test_nothing_is_ever_lost(steps: list[tuple[str, int]]) -> None:
    talk, texts = play(steps)
    assert sorted(node.content for node in talk.nodes.values()) == sorted(texts)
    assert sorted(child for children in talk.children.values() for child in children) == sorted(talk.nodes)


@given(STEPS)
def test_the_path_is_a_line_from_a_first_message_to_a_leaf(steps: list[tuple[str, int]]) -> None:
    talk, _ = play(steps)
    parent = ROOT
    for node in talk.path():
        assert node.parent == parent
        parent = node.id
    assert not talk.children.get(parent) or not talk.nodes
    if talk.leaf is not None:
        assert talk.path_to(talk.leaf.id) == talk.path()


@given(STEPS, st.integers(0, 30))
def test_selecting_puts_a_message_on_the_path_and_stepping_comes_back(
    steps: list[tuple[str, int]], pick: int
) -> None:
    talk, _ = play([("ask", 0), *steps])
    node = talk.nodes[list(talk.nodes)[pick % len(talk.nodes)]]
    talk.select(node.id)
    before = talk.path()
    assert node in before
    place, count = talk.place(node.id)
    other = talk.step(node.id, 1)
    assert (other is None) == (place == count)
    if other is not None:
        assert other in talk.path() and node not in talk.path()
        assert talk.step(other.id, -1) is node
    assert talk.path() == before


@given(STEPS)
def test_a_conversation_survives_being_written_down(steps: list[tuple[str, int]]) -> None:
    talk, _ = play(steps)
    for node in talk.nodes.values():
        node.usage, node.timings = Usage(prompt_tokens=3), Timings(submitted=1)
        node.tool_calls, node.adapters = [CALL], (AdapterRef("pirate", 0.5),)
        node.miss, node.thought_ns, node.syntax = CacheMiss(cause="text", token=7), 5, "json"
    talk.controls = Controls(
        adapters=(),
        constraint=Constraint(kind="schema", value={"type": "object"}),
        tools=(Tool(name="weather", parameters={}),),
        tool_choice=ToolChoice(mode="named", names=("weather",)),
        effort="low",
    )
    assert msgspec.json.decode(msgspec.json.encode(talk), type=Conversation) == talk


def test_calls_are_answered_in_order_on_the_path_that_is_chosen() -> None:
    talk = Conversation(id="c")
    question = talk.add(ROOT, "user", "Weather?")
    answer = talk.add(question.id, "assistant", "I look.")
    other = ToolCall(id="2", name="clock", arguments="{}")
    answer.tool_calls = [CALL, other]
    assert talk.open_calls() == [CALL, other] and talk.results_of(answer.id) == {}
    first = talk.answer_call(answer.id, CALL, '{"high": 19}')
    assert first.syntax == "json" and talk.open_calls() == [other]
    second = talk.answer_call(first.id, other, "broken", failed=True)
    assert second.tool_error and second.syntax == "" and talk.open_calls() == []
    assert talk.results_of(answer.id) == {"1": first, "2": second}
    version = talk.sibling(first.id, "19 degrees")
    assert (version.role, version.tool_call_id, version.tool_name, version.syntax) == (
        "tool",
        "1",
        "weather",
        "",
    )
    assert talk.open_calls() == [other] and talk.results_of(answer.id) == {"1": version}
    talk.step(version.id, -1)
    assert talk.open_calls() == []
    talk.add(second.id, "assistant", "It is warm.")
    assert talk.open_calls() == []


def test_a_child_of_nobody_is_refused() -> None:
    with pytest.raises(KeyError):
        Conversation(id="c").add("m9", "user", "hello")


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Hello", "Hello"),
        ("  why\n is   the sky blue? \n\n and?", "why is the sky blue?"),
        ("one two three four five six seven eight", "one two three four five six seven…"),
        ("x" * 100, "x" * 48 + "…"),
    ],
)
def test_the_title_is_the_first_words(question: str, title: str) -> None:
    assert title_of(question) == title
    talk = Conversation(id="c")
    talk.add(ROOT, "user", question)
    talk.add(ROOT, "user", "another")
    assert talk.title == title


def test_a_new_conversation_takes_an_empty_one_and_the_model() -> None:
    every = Conversations()
    first = every.new()
    assert every.new() is first and every.current is first
    first.model = "qwen"
    first.add(ROOT, "user", "hello")
    second = every.new()
    assert second is not first and second.model == "qwen" and every.current is second
    assert every.open(first.id) is first and every.current is first
    with pytest.raises(KeyError):
        every.open("c99")

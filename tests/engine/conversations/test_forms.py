"""The tree and the files that conversations travel in: whatever is said comes back as it was."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.conversations import tree
from engine.conversations.exporting import export
from engine.conversations.importing import read
from engine.conversations.query import match_of, parse
from engine.errors import InvalidRequest
from engine.types import (
    Attachment,
    ConversationQuery,
    ConversationSummary,
    ConversationTree,
    StoredMessage,
    ToolCall,
    Usage,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
MARKS = st.sampled_from(
    ["## user", "\\## user", "## assistant: x", "<details>", "\\<details>", "# T", "```", ""]
)
CONTENT = st.lists(st.one_of(TEXT, MARKS), max_size=5).map("\n".join)


@st.composite
def trees(draw: st.DrawFn) -> ConversationTree:
    """A tree of up to a dozen messages, each below one of those before it."""
    messages: list[StoredMessage] = []
    for number in range(draw(st.integers(0, 12))):
        parent = draw(st.sampled_from(["", *(each.id for each in messages)]))
        messages.append(
            StoredMessage(
                id=f"m{number}",
                parent=parent,
                role=draw(st.sampled_from(["user", "assistant", "tool"])),
                content=draw(CONTENT),
                reasoning=draw(CONTENT),
                tool_calls=tuple(
                    ToolCall(id=f"c{place}", name="f", arguments=draw(TEXT))
                    for place in range(draw(st.integers(0, 1)))
                ),
                usage=draw(st.sampled_from([None, Usage(prompt_tokens=3, completion_tokens=5)])),
                chosen=draw(st.booleans()),
                created=draw(st.floats(1, 2e9)),
            )
        )
    summary = ConversationSummary(
        id="abc", title=draw(TEXT), folder="a/b", tags=("x",), pinned=True, created=1.5, updated=2.5
    )
    return ConversationTree(
        summary=summary, settings={"system": draw(TEXT)}, messages=tree.checked(messages), draft=draw(TEXT)
    )


@given(trees())
def test_of_siblings_one_is_chosen_and_the_path_is_made_of_them(given_tree: ConversationTree) -> None:
    messages = given_tree.messages
    beside: dict[str, list[StoredMessage]] = {}
    for message in messages:
        beside.setdefault(message.parent, []).append(message)
    assert all(sum(each.chosen for each in siblings) == 1 for siblings in beside.values())
    path = tree.path(messages)
    assert [each.parent for each in path] == ["", *(each.id for each in path[:-1])][: len(path)]
    assert not path or path[-1].id not in beside


@given(trees(), st.data())
def test_a_message_that_is_chosen_is_on_the_path_and_nothing_is_lost(
    given_tree: ConversationTree, data: st.DataObject
) -> None:
    if not given_tree.messages:
        return
    one = data.draw(st.sampled_from(given_tree.messages))
    after = tree.choose(given_tree.messages, one.id)
    assert one.id in [each.id for each in tree.path(after)]
    assert [replace(each, chosen=True) for each in after] == [
        replace(each, chosen=True) for each in given_tree.messages
    ]
    assert tree.choose(after, one.id) == after


@pytest.mark.parametrize(
    "messages",
    [
        [StoredMessage(id="a", parent="b", role="user")],
        [StoredMessage(id="a", role="user"), StoredMessage(id="a", role="user")],
        [StoredMessage(id="", role="user")],
        [StoredMessage(id="a", parent="b", role="user"), StoredMessage(id="b", parent="a", role="user")],
    ],
)
def test_what_is_no_tree_is_refused(messages: list[StoredMessage]) -> None:
    with pytest.raises(InvalidRequest):
        tree.checked(messages)


@given(st.lists(trees(), min_size=1, max_size=3))
def test_json_brings_everything_back(given_trees: list[ConversationTree]) -> None:
    found = [each.tree for each in read(export(given_trees, "json").data)]
    assert [replace(each, summary=replace(each.summary, messages=0)) for each in found] == given_trees


def said(given_tree: ConversationTree) -> list[tuple[str, str, str]]:
    path = tree.said(tree.path(given_tree.messages))
    return [(each.role, each.content, each.reasoning) for each in path]


@given(trees())
def test_openai_messages_bring_the_path_back(given_tree: ConversationTree) -> None:
    if not said(given_tree):
        return
    (found,) = read(export([given_tree], "openai").data)
    assert said(found.tree) == said(given_tree)
    system = given_tree.settings["system"]
    assert (found.tree.settings or {"system": ""}) == {"system": system}
    calls = [each.tool_calls for each in tree.said(tree.path(given_tree.messages))]
    assert [each.tool_calls for each in tree.path(found.tree.messages)] == calls


@given(trees())
def test_markdown_brings_roles_and_texts_back(given_tree: ConversationTree) -> None:
    messages = tuple(
        replace(each, tool_calls=(), reasoning=each.reasoning.replace("</details>", ""))
        for each in given_tree.messages
    )
    given_tree = replace(given_tree, messages=messages)
    if not said(given_tree):
        return
    (found,) = read(export([given_tree], "markdown").data, "markdown")
    assert said(found.tree) == said(given_tree)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidRequest):
        read(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "format",
                        "version",
                        "conversations",
                        "messages",
                        "role",
                        "content",
                        "type",
                        "tool_calls",
                        "id",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    for wrapped in (
        value,
        {"messages": value},
        {"format": "hearth.conversations", "version": 1, "conversations": value},
    ):
        with suppress(InvalidRequest):
            read(json.dumps(wrapped).encode())


def test_paths_in_a_file_are_not_believed() -> None:
    picture = Attachment(name="p", path="/etc/passwd", media_type="image/png", digest="ab" * 16)
    message = StoredMessage(id="m", role="user", content="@p", attachments=(picture,))
    given_tree = ConversationTree(summary=ConversationSummary(id="x"), messages=(message,))
    (found,) = read(export([given_tree], "json", files=False).data)
    from engine.conversations.attachments import AttachmentFiles

    assert found.with_files(AttachmentFiles(None)).messages[0].attachments[0].path == ""


def test_lines_of_json_are_conversations_of_their_own() -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    assert len(read(f"{line}\n{line}\n".encode())) == 2


def test_conditions_are_read_out_of_words() -> None:
    query = parse('gpu "big kernels" tag:work tag:x in:a/b is:pinned is:any')
    assert query == ConversationQuery(
        text='gpu "big kernels"', tags=("work", "x"), folder="a/b", pinned=True, archived=None
    )
    assert match_of(query.text) == '"gpu" "big kernels"'
    assert match_of("kern") == '"kern" *' and match_of('" *') == ""

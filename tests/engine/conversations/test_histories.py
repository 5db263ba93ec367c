"""Histories of other programs: what they wrote comes in whole, with its branches, and once."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine import LocalConversations
from engine.conversations.histories import beside, chatgpt
from engine.conversations.histories.beside import Beside
from engine.conversations.sources import entries
from engine.errors import HearthError, InvalidRequest
from engine.types import ConversationQuery, ImportReport, RefusedEntry


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(file, "PNG")
    return file.getvalue()


def node(name: str, parent: str | None, role: str, content: object, **about: object) -> dict[str, object]:
    content = {"content_type": "text", "parts": [content]} if isinstance(content, str) else content
    message = {"id": name, "author": {"role": role}, "content": content, "recipient": "all", "metadata": {}}
    return {"id": name, "parent": parent, "children": [], "message": {**message, **about}}


def talk(*nodes: dict[str, object], **about: object) -> dict[str, object]:
    mapping = {"root": {"id": "root", "parent": None, "children": [], "message": None}}
    mapping |= {str(each["id"]): each for each in nodes}
    for each in nodes:
        mapping[str(each["parent"])]["children"].append(each["id"])  # type: ignore[attr-defined]
    said = {"conversation_id": "c-1", "title": "Hats", "create_time": 1.7e9, "update_time": 1.7e9 + 9}
    return {**said, "current_node": nodes[-1]["id"], "mapping": mapping, **about}


CALL = {"content_type": "code", "language": "json", "text": '{"q": "hats"}'}
THOUGHTS = {"content_type": "thoughts", "thoughts": [{"summary": "Hats", "content": "What about them?"}]}
SHOWN = {
    "content_type": "multimodal_text",
    "parts": [
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-AAAA1111", "width": 3},
        "Look",
    ],
}
CHATGPT = talk(
    node("s", "root", "system", {"content_type": "user_editable_context", "user_instructions": "Be brief."}),
    node("q1", "s", "user", SHOWN),
    node("old", "q1", "assistant", "The first try", metadata={"model_slug": "gpt-4"}),
    node("t", "q1", "assistant", THOUGHTS),
    node("call", "t", "assistant", CALL, recipient="search"),
    node("found", "call", "tool", "Bowler", author={"role": "tool", "name": "search"}),
    node("new", "found", "assistant", "A bowler", metadata={"finish_details": {"type": "stop"}}),
)


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return held.getvalue()


def export_of(name: str) -> bytes:
    """An export with one conversation of that id, its picture, and an entry that cannot be read."""
    chats = [{"title": "Odd", "mapping": 3}, {**CHATGPT, "conversation_id": name}]
    return zipped(**{"conversations.json": json.dumps(chats).encode(), "file-AAAA1111-hat.png": picture()})


async def taken(
    source: bytes | Path, kept: LocalConversations | None = None
) -> tuple[ImportReport, LocalConversations]:
    kept = kept or LocalConversations(None)
    return await kept.take_in(source), kept


async def test_an_export_of_chatgpt_keeps_branches_calls_thoughts_and_pictures(tmp_path: Path) -> None:
    export = {
        "export__conversations.json": json.dumps([{"title": "Odd", "mapping": 3}, CHATGPT]).encode(),
        "export__file-AAAA1111-hat.png": picture(),
        "chat.html": b"<html>",
    }
    path = tmp_path / "export.zip"
    path.write_bytes(zipped(**export))
    report, kept = await taken(path)
    assert [(each.name, "mapping" in each.why) for each in report.refused] == [("Odd", True)]
    (one,) = report.conversations
    tree = await kept.get(one.summary.id)
    assert (tree.summary.title, tree.summary.folder, tree.settings) == (
        "Hats",
        "ChatGPT",
        {"system": "Be brief."},
    )
    shown = [each for each in tree.messages if each.chosen]
    assert [each.role for each in shown] == ["user", "assistant", "tool", "assistant"]
    question, called, result, last = shown
    assert question.content == f"Look @{question.attachments[0].name}" and question.attachments[0].width == 3
    assert called.reasoning == "Hats\nWhat about them?" and called.tool_calls[0].arguments == '{"q": "hats"}'
    assert result.tool_call_id == called.tool_calls[0].id and result.content == "Bowler"
    assert (last.content, last.finish) == ("A bowler", "stop")
    assert [each.content for each in tree.messages if not each.chosen] == ["The first try"]
    # Again: nothing twice. When it went on meanwhile: what is new, and what was said here stays shown.
    again, _ = await taken(path, kept)
    assert again.conversations[0].added == 0 and len((await kept.find(ConversationQuery())).found) == 1
    longer = talk(*(each for each in CHATGPT["mapping"].values() if each["message"]))  # type: ignore[attr-defined]
    longer["mapping"]["more"] = node("more", "new", "user", "Thanks")  # type: ignore[index]
    longer["mapping"]["new"]["children"] = ["more"]  # type: ignore[index]
    grown, _ = await taken(json.dumps([longer]).encode(), kept)
    assert grown.conversations[0].added == 1
    assert (await kept.get(one.summary.id)).messages[-1].content == "Thanks"
    await kept.delete([one.summary.id])
    await taken(path, kept)
    assert len((await kept.find(ConversationQuery())).found) == 1, "what was deleted is back"
    await kept.close()


def version(role: str, *parts: dict[str, object]) -> dict[str, object]:
    return {"type": "singleStep", "role": role, "content": list(parts)}


LM_STUDIO = {
    "name": "Caps",
    "createdAt": 1_727_000_000_000,
    "clientInput": "and then",
    "perChatPredictionConfig": {
        "fields": [
            {"key": "llm.prediction.systemPrompt", "value": "Be kind."},
            {"key": "llm.prediction.temperature", "value": 0.3},
        ]
    },
    "messages": [
        {
            "versions": [
                version(
                    "user",
                    {"type": "text", "text": "Which cap?"},
                    {"type": "file", "fileType": "image", "fileIdentifier": "1727-1.png"},
                    {"type": "file", "fileType": "image", "fileIdentifier": "../../etc/passwd"},
                )
            ],
            "currentlySelected": 0,
        },
        {
            "versions": [
                version("assistant", {"type": "text", "text": "Flat"}),
                {
                    "type": "multiStep",
                    "role": "assistant",
                    "senderInfo": {"senderName": "qwen"},
                    "steps": [
                        {
                            "type": "contentBlock",
                            "style": {"type": "thinking"},
                            "content": [{"type": "text", "text": "Hm"}],
                        },
                        {
                            "type": "contentBlock",
                            "content": [
                                {
                                    "type": "toolCallRequest",
                                    "toolCallRequestId": "7",
                                    "name": "shop",
                                    "arguments": {"q": 1},
                                }
                            ],
                        },
                        {
                            "type": "contentBlock",
                            "content": [
                                {"type": "toolCallResult", "toolCallRequestId": "7", "content": "[]"}
                            ],
                        },
                        {
                            "type": "contentBlock",
                            "content": [{"type": "text", "text": "A beret"}],
                            "genInfo": {"stats": {"promptTokensCount": 9, "predictedTokensCount": 3}},
                        },
                    ],
                },
            ],
            "currentlySelected": 1,
        },
        {"versions": [version("user", {"type": "text", "text": "Thanks"})], "currentlySelected": 0},
    ],
}


async def test_a_folder_of_lm_studio_keeps_versions_and_its_folders(tmp_path: Path) -> None:
    (tmp_path / "conversations/Clothes").mkdir(parents=True)
    (tmp_path / "user-files").mkdir()
    (tmp_path / "user-files/1727-1.png").write_bytes(picture())
    (tmp_path / "conversations/Clothes/1.conversation.json").write_text(json.dumps(LM_STUDIO))
    (tmp_path / "conversations/2.conversation.json").write_text('{"messages": [')
    report, kept = await taken(tmp_path)
    assert [each.name for each in report.refused] == ["2.conversation.json"]
    (one,) = report.conversations
    assert one.missing == ("../../etc/passwd",)
    tree = await kept.get(one.summary.id)
    assert (tree.summary.folder, tree.draft) == ("LM Studio/Clothes", "and then")
    assert tree.settings == {"system": "Be kind.", "sampling": {"temperature": 0.3}}
    shown = [(each.role, each.content) for each in tree.messages if each.chosen]
    assert shown == [
        ("user", "Which cap?[../../etc/passwd] @1727-1.png"),
        ("assistant", ""),
        ("tool", "[]"),
        ("assistant", "A beret"),
        ("user", "Thanks"),
    ]
    assert [each.content for each in tree.messages if not each.chosen] == ["Flat"]
    calls = next(each for each in tree.messages if each.tool_calls)
    assert calls.reasoning == "Hm" and calls.model == "qwen"
    assert next(each.usage.completion_tokens for each in tree.messages if each.usage) == 3
    again, _ = await taken(tmp_path, kept)
    assert [each.added for each in again.conversations] == [0]
    alone, _ = await taken(tmp_path / "conversations/Clothes/1.conversation.json", kept)
    assert [each.added for each in alone.conversations] == [0]
    await kept.close()


def oterm(path: Path) -> Path:
    connection = apsw.Connection(str(path))
    connection.execute(
        "PRAGMA journal_mode = WAL;"
        "CREATE TABLE chat (id INTEGER PRIMARY KEY, name TEXT, model TEXT NOT NULL, system TEXT, parameters TEXT);"
        "CREATE TABLE message (id INTEGER PRIMARY KEY, chat_id INTEGER, author TEXT, text TEXT, images TEXT);"
    ).fetchall()
    chats = [(1, "Gloves", "llama3", "Be warm.", '{"temperature": 0.5}'), (2, "Odd", "llama3", None, None)]
    connection.executemany("INSERT INTO chat VALUES (?, ?, ?, ?, ?)", chats)
    images = json.dumps([base64.b64encode(picture()).decode(), "!"])
    messages = [
        (1, 1, "user", "Mittens?", images),
        (2, 1, "assistant", "Yes", "[]"),
        (3, 2, "ghost", "?", "[]"),
    ]
    connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?)", messages)
    connection.close()
    return path


async def test_the_database_of_oterm_comes_in_once(tmp_path: Path) -> None:
    path = oterm(tmp_path / "store.db")
    report, kept = await taken(path)
    assert [(each.name, "ghost" in each.why) for each in report.refused] == [("Odd", True)]
    (one,) = report.conversations
    tree = await kept.get(one.summary.id)
    assert tree.settings == {"system": "Be warm.", "sampling": {"temperature": 0.5}}
    assert [(each.role, each.model) for each in tree.messages] == [("user", ""), ("assistant", "llama3")]
    assert len(tree.messages[0].attachments) == 1 and one.missing == ("a picture",)
    again, _ = await taken(path.read_bytes(), kept)
    assert [each.added for each in again.conversations] == [0]
    await kept.close()


async def test_what_is_imported_lies_among_the_others_by_its_age() -> None:
    kept = LocalConversations(None)
    older = {**CHATGPT, "conversation_id": "c-2", "title": "Older", "update_time": 1.6e9}
    await kept.save("mine", change=None)
    await taken(json.dumps([CHATGPT, older]).encode(), kept)
    titles = [each.summary.title for each in (await kept.find(ConversationQuery())).found]
    assert titles == ["", "Hats", "Older"]
    await kept.close()


HOSTILE = {
    "deep": b"[" * 200_000,
    "deep and whole": b"[" * 200_000 + b"]" * 200_000,
    "no zip": b"PK\x03\x04" + b"\0" * 40,
    "no conversation in the zip": zipped(**{"notes.txt": b"hi"}),
    "no database": b"SQLite format 3\0" + b"\xff" * 200,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(HearthError):
        list(entries(HOSTILE[name]))


def test_a_bomb_in_a_zip_file_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.conversations.sources.LARGEST", 1_000_000)
    monkeypatch.setattr(beside, "MOST_BYTES", 10_000)
    bomb = zipped(**{"conversations.json": b"[" + b" " * 40_000_000 + b"]", "conversations-1.json": b"[]"})
    found = list(entries(bomb))
    assert all(isinstance(each, RefusedEntry) for each in found)
    assert "too large" in found[0].why  # type: ignore[union-attr]
    shown = zipped(
        **{"conversations.json": json.dumps([CHATGPT]).encode(), "file-AAAA1111.png": b"\0" * 9_000_000}
    )
    (one,) = entries(shown)
    assert one.missing == ("file-AAAA1111",)  # type: ignore[union-attr]


def test_a_database_of_views_that_never_end_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    endless = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id FROM n) SELECT id, id AS name FROM n"
    connection.execute(f"CREATE VIEW chat AS {endless}").fetchall()
    connection.close()
    with pytest.raises(InvalidRequest, match="oterm"):
        list(entries(tmp_path / "x.db"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "c", "d"])
nodes = st.fixed_dictionaries(
    {
        "parent": names | json_values,
        "children": st.lists(names, max_size=4) | json_values,
        "message": json_values
        | st.fixed_dictionaries(
            {
                "author": st.fixed_dictionaries(
                    {"role": st.sampled_from(["user", "assistant", "tool", "system"])}
                ),
                "content": st.fixed_dictionaries(
                    {
                        "content_type": st.sampled_from(
                            ["text", "code", "thoughts", "multimodal_text", "odd"]
                        ),
                        "parts": st.lists(json_values, max_size=3),
                        "text": json_values,
                        "thoughts": json_values,
                    }
                ),
                "recipient": json_values,
                "metadata": json_values,
            }
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, nodes, max_size=4), names | json_values)
def test_any_mapping_is_a_tree_or_is_refused(mapping: dict[str, object], current: object) -> None:
    value = {"title": "T", "mapping": mapping, "current_node": current}
    (entry,) = chatgpt.read([value], Beside())
    if not isinstance(entry, RefusedEntry):
        ids = {each.id for each in entry.tree.messages}
        assert ids and all(not each.parent or each.parent in ids for each in entry.tree.messages)

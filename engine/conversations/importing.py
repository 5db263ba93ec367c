"""Conversations from files: Hearth's JSON, OpenAI messages (one object, a list, or a line each), Markdown.

The text comes from anywhere, so every shape is checked and bounded before it is believed.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from engine.conversations import markdown
from engine.conversations.attachments import digest_of
from engine.conversations.exporting import FORMAT, VERSION
from engine.conversations.imported import Imported, attached, mentioning
from engine.conversations.tree import checked
from engine.errors import InvalidRequest
from engine.types import (
    Attachment,
    ConversationForm,
    ConversationSummary,
    ConversationTree,
    StoredMessage,
    ToolCall,
)

LARGEST = 512 * 2**20
"""Bytes of a file that is read."""
TITLE = 80
_FIX = "Export it anew, or say of which form it is: markdown, json or openai."


def read(data: bytes, form: ConversationForm | None = None, name: str = "") -> list[Imported]:
    """The conversations in `data`. Raises InvalidRequest, and then says what is wrong with it."""
    text = decoded(data)
    if form == "markdown" or (form is None and not text.lstrip().startswith(("{", "["))):
        return [_from_markdown(text, name)]
    return of_values(values(text), form, name)


def of_values(found: list[Any], form: ConversationForm | None = None, name: str = "") -> list[Imported]:
    """The conversations in JSON values. Raises InvalidRequest."""
    return [
        each
        for value in found
        for each in (
            _from_hearth(value) if _is_ours(value) and form != "openai" else _from_openai(value, name)
        )
    ]


def decoded(data: bytes) -> str:
    """The text of a file. Raises InvalidRequest."""
    if len(data) > LARGEST:
        raise InvalidRequest("The file is too large.", f"It has {len(data):,} bytes.", "Split it.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The file is not text.", f"Byte {error.start} is not UTF-8.", _FIX) from None


def values(text: str) -> list[Any]:
    """The JSON value of the text, or those of its lines. Raises InvalidRequest."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError) as whole:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            found = []
        if len(found) > 1:
            return found
        raise InvalidRequest("The file is not JSON.", f"{whole}.", _FIX) from None


def _is_ours(value: Any) -> bool:
    return isinstance(value, dict) and value.get("format") == FORMAT


# --- Hearth's own


def _from_hearth(value: dict[str, Any]) -> list[Imported]:
    version = value.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise InvalidRequest(
            "The file was written by another version of Hearth.",
            f"It is of version {version!r}; this one reads version {VERSION}.",
            "Use a newer Hearth.",
        )
    files = _files(value.get("files"))
    found = []
    for each in _list(value.get("conversations"), "conversations"):
        try:
            summary = msgspec.convert({**each, "messages": 0}, type=ConversationSummary)
            messages = msgspec.convert(each.get("messages", []), type=tuple[StoredMessage, ...])
            draft = msgspec.convert(each.get("draft", ""), type=str)
        except (msgspec.MsgspecError, AttributeError, TypeError) as error:
            raise InvalidRequest("A conversation in the file cannot be read.", f"{error}.", _FIX) from None
        tree = ConversationTree(
            summary=summary, settings=each.get("settings"), draft=draft, messages=checked(messages)
        )
        found.append(Imported(tree=tree, files=files, known=each.get("known") is True))
    return found


def _files(value: Any) -> dict[str, tuple[str, bytes]]:
    """Files whose bytes have the digest that they are named by."""
    found: dict[str, tuple[str, bytes]] = {}
    for digest, each in value.items() if isinstance(value, dict) else ():
        try:
            data = base64.b64decode(each["data"], validate=True)
            name = Path(str(each["name"])).name
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise InvalidRequest(
                "A picture in the file cannot be read.", f"It is {digest!r}.", _FIX
            ) from None
        if digest_of(data) != digest:
            raise InvalidRequest("A picture in the file is damaged.", f"It is {digest!r}.", _FIX)
        found[digest] = name, data
    return found


# --- OpenAI's


def _from_openai(value: Any, name: str) -> list[Imported]:
    if isinstance(value, list) and any(isinstance(each, dict) and "messages" in each for each in value):
        return [found for each in value for found in _from_openai(each, name)]
    holder = value if isinstance(value, dict) else {}
    messages = value if isinstance(value, list) else _list(holder.get("messages"), "messages")
    turns: list[StoredMessage] = []
    system: list[str] = []
    files: dict[str, tuple[str, bytes]] = {}
    for place, each in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(each, dict):
            raise InvalidRequest(f"{where} is not an object.", fix=_FIX, param=where)
        role = each.get("role")
        content, pictures = _content(each.get("content"), where, files)
        if role in ("system", "developer"):
            system.append(content)
        elif role in ("user", "assistant", "tool"):
            turns.append(
                StoredMessage(
                    id=f"m{len(turns) + 1}",
                    parent=turns[-1].id if turns else "",
                    role=role,
                    content=content,
                    attachments=pictures,
                    reasoning=_text(each.get("reasoning_content") or each.get("reasoning")),
                    tool_calls=_calls(each.get("tool_calls"), where, len(turns)),
                    tool_call_id=_text(each.get("tool_call_id")),
                    tool_name=_text(each.get("tool_name") or (each.get("name") if role == "tool" else "")),
                    tool_error=each.get("tool_error") is True,
                    model=_text(holder.get("model")) if role == "assistant" else "",
                )
            )
        else:
            raise InvalidRequest(
                f"{where} has no role that is known.", f"It is {role!r}.", _FIX, param=f"{where}.role"
            )
    if not turns and not system:
        raise InvalidRequest("There is no message in the file.", fix=_FIX)
    title = _text(holder.get("title")) or name
    return [Imported(tree=_tree(title, _text(holder.get("model")), "\n\n".join(system), turns), files=files)]


def _content(
    value: Any, where: str, files: dict[str, tuple[str, bytes]]
) -> tuple[str, tuple[Attachment, ...]]:
    """Text and pictures of a message; a picture that the text does not mention is mentioned at its end."""
    if value is None or isinstance(value, str):
        return value or "", ()
    texts: list[str] = []
    pictures: list[Attachment] = []
    for part in _list(value, f"{where}.content"):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "input_text", "output_text", "document") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url":
            url = (
                part["image_url"].get("url")
                if isinstance(part.get("image_url"), dict)
                else part.get("image_url")
            )
            picture = _picture(url, files)
            if picture is None:
                texts.append(f"[{_text(url)[:200] or 'picture'}]")
            else:
                pictures.append(picture)
        elif kind == "image":
            texts.append(f"[{Path(_text(part.get('path') or part.get('url'))).name or 'picture'}]")
        else:
            raise InvalidRequest(
                f"A part of {where} cannot be read.", f"Its type is {kind!r}.", _FIX, param=where
            )
    return mentioning("".join(texts), tuple(pictures)), tuple(pictures)


def _picture(url: Any, files: dict[str, tuple[str, bytes]]) -> Attachment | None:
    """The picture of a `data:` URL; None for any other."""
    head, comma, rest = _text(url).partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        return None
    try:
        data = base64.b64decode(rest, validate=True)
    except (ValueError, binascii.Error):
        return None
    return attached(data, files)


def _calls(value: Any, where: str, turn: int) -> tuple[ToolCall, ...]:
    found = []
    for place, each in enumerate(_list(value, f"{where}.tool_calls") if value else []):
        said = each.get("function", each) if isinstance(each, dict) else {}
        arguments = said.get("arguments", "") if isinstance(said, dict) else ""
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            raise InvalidRequest(f"A call of {where} has no name.", fix=_FIX, param=where)
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        id = _text(each.get("id")) or f"call-{turn}-{place}"
        found.append(ToolCall(id=id, name=said["name"], arguments=arguments))
    return tuple(found)


# --- Markdown


def _from_markdown(text: str, name: str) -> Imported:
    found = markdown.read(text)
    if found is None:
        raise InvalidRequest(
            "There is no conversation in the file.",
            "A conversation as Markdown has headings such as “## user” and “## assistant”.",
            _FIX,
        )
    title, said = found
    turns: list[StoredMessage] = []
    system: list[str] = []
    for each in said:
        if each.role == "system":
            system.append(each.content)
            continue
        turns.append(
            StoredMessage(
                id=f"m{len(turns) + 1}",
                parent=turns[-1].id if turns else "",
                role=each.role,  # type: ignore[arg-type]
                content=each.content,
                reasoning=each.reasoning,
                model=each.name if each.role == "assistant" else "",
                tool_name=each.name if each.role == "tool" else "",
            )
        )
    model = next((turn.model for turn in reversed(turns) if turn.model), "")
    return Imported(tree=_tree(title or name, model, "\n\n".join(system), turns))


# --- shared


def _tree(title: str, model: str, system: str, turns: list[StoredMessage]) -> ConversationTree:
    if not title:
        question = next((turn.content for turn in turns if turn.role == "user"), "")
        title = " ".join(question.split()[:7])[:TITLE]
    return ConversationTree(
        summary=ConversationSummary(id=os.urandom(8).hex(), title=title, model=model),
        settings={"system": system} if system else None,
        messages=checked(turns),
    )


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{where} is not a list.", fix=_FIX, param=where)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

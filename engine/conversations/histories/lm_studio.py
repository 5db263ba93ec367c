"""`*.conversation.json` of LM Studio: a list of messages, each with versions of which one is `currentlySelected`.

What follows a message follows its selected version. A version is a `singleStep` with content, or a `multiStep` whose
steps hold content blocks: text, thinking (by the block's style), calls of tools and their results. Pictures are files
in `user-files`, named by `fileIdentifier`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from engine.conversations.histories.beside import Beside
from engine.conversations.imported import (
    Entry,
    Files,
    Imported,
    attached,
    fields,
    items,
    mentioning,
    moment,
    refusal,
    stable_id,
    text,
)
from engine.conversations.tree import checked
from engine.errors import InvalidRequest
from engine.types import (
    Attachment,
    ConversationSummary,
    ConversationTree,
    Json,
    StoredMessage,
    ToolCall,
    Usage,
)

FOLDER = "LM Studio"
_SYSTEM = "llm.prediction.systemPrompt"
_SAMPLING = {
    "llm.prediction.temperature": "temperature",
    "llm.prediction.topKSampling": "top_k",
    "llm.prediction.topPSampling": "top_p",
    "llm.prediction.minPSampling": "min_p",
    "llm.prediction.repeatPenalty": "repeat_penalty",
}


def is_one(value: Any) -> bool:
    """Whether `value` is a conversation of LM Studio."""
    messages = items(fields(value).get("messages"))
    return "createdAt" in fields(value) or any("versions" in fields(each) for each in messages)


def read(value: dict[str, Any], beside: Beside, *, name: str = "", folder: str = "") -> Iterator[Entry]:
    """The conversation; `folder` is where LM Studio had it."""
    title = text(value.get("name")) or name
    try:
        yield _Conversation(value, beside).read(title, folder)
    except (InvalidRequest, LookupError, TypeError, ValueError, RecursionError) as error:
        yield refusal(title, error)


class _Conversation:
    """One conversation on its way in."""

    def __init__(self, value: dict[str, Any], beside: Beside) -> None:
        self._value, self._beside = value, beside
        self._messages: list[StoredMessage] = []
        self._ids: set[str] = set()
        self._files: Files = {}
        self._missing: list[str] = []

    def read(self, title: str, folder: str) -> Imported:
        value = self._value
        created = moment(value.get("createdAt"), 0.001)
        self._source = stable_id("lmstudio", value.get("createdAt"), self._first() if not created else "")
        above = ""
        for place, message in enumerate(map(fields, items(value.get("messages")))):
            versions = [fields(each) for each in items(message.get("versions"))] or [message]
            selected = message.get("currentlySelected")
            if not isinstance(selected, int) or not 0 <= selected < len(versions):
                selected = len(versions) - 1
            after = above
            for number, version in enumerate(versions):
                end = self._take(version, above, place, number, number == selected)
                after = end if number == selected else after
            above = after
        if not self._messages:
            raise InvalidRequest("There is no message in it.")
        tree = ConversationTree(
            summary=ConversationSummary(
                id=self._source,
                title=title,
                folder="/".join(filter(None, (FOLDER, folder))),
                pinned=value.get("pinned") is True,
                created=created,
                updated=created,
            ),
            settings=self._settings(),
            draft=text(value.get("clientInput")),
            messages=checked(self._messages),
        )
        return Imported(tree=tree, files=self._files, known=True, missing=tuple(dict.fromkeys(self._missing)))

    def _first(self) -> str:
        return json.dumps(items(self._value.get("messages"))[:1], sort_keys=True)[:4000]

    def _settings(self) -> Json:
        system, sampling = text(self._value.get("systemPrompt")), {}
        for each in map(fields, items(fields(self._value.get("perChatPredictionConfig")).get("fields"))):
            key, said = each.get("key"), each.get("value")
            if key == _SYSTEM and isinstance(said, str):
                system = text(said)
            elif key in _SAMPLING:
                held = fields(said)
                said = held.get("value") if held.get("checked", True) is True and held else said
                if isinstance(said, int | float) and not isinstance(said, bool):
                    sampling[_SAMPLING[key]] = said
        found: dict[str, Json] = {}
        if system:
            found["system"] = system
        if sampling:
            found["sampling"] = dict(sampling)
        return found or None

    def _put(self, above: str, place: int, number: int, message: StoredMessage) -> str:
        said = (
            message.role,
            message.content,
            message.reasoning,
            len(message.tool_calls),
            message.tool_call_id,
        )
        id = stable_id(self._source, above, place, *said)
        while id in self._ids:
            id = stable_id(id, number)
        self._ids.add(id)
        self._messages.append(replace(message, id=id, parent=above))
        return id

    # --- a version of a message

    def _take(self, version: dict[str, Any], above: str, place: int, number: int, shown: bool) -> str:
        """Take a version in below `above`; the message that it ends with."""
        role = version.get("role")
        if role == "system":
            self._value = {**self._value, "systemPrompt": self._words(items(version.get("content")))[0]}
            return above
        if role not in ("user", "assistant"):
            raise InvalidRequest("A message has no role that is known.", f"It is {role!r}.")
        if role == "user" or not isinstance(version.get("steps"), list):
            content = version.get("content")
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else items(content)
            words, pictures = self._words(parts)
            message = StoredMessage(
                id="", role=role, content=mentioning(words, pictures), attachments=pictures, chosen=shown
            )
            return self._put(above, place, number, message)
        return self._steps(version, above, place, number, shown)

    def _steps(self, version: dict[str, Any], above: str, place: int, number: int, shown: bool) -> str:
        """The blocks of an answer: each result of a tool begins a new message behind it."""
        model = text(fields(version.get("senderInfo")).get("senderName"))
        words: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        usage: Usage | None = None

        def done(above: str) -> str:
            nonlocal usage
            if not (words or thoughts or calls):
                return above
            message = StoredMessage(
                id="",
                role="assistant",
                content="".join(words),
                reasoning="\n\n".join(thoughts),
                tool_calls=tuple(calls),
                model=model,
                usage=usage,
                chosen=shown,
            )
            words.clear()
            thoughts.clear()
            calls.clear()
            usage = None
            return self._put(above, place, number, message)

        for step in map(fields, items(version.get("steps"))):
            usage = _usage(fields(fields(step.get("genInfo")).get("stats"))) or usage
            if step.get("type") != "contentBlock":
                continue
            thinks = fields(step.get("style")).get("type") == "thinking"
            for part in map(fields, items(step.get("content"))):
                kind = part.get("type")
                if kind == "toolCallRequest":
                    said = part.get("arguments", part.get("parameters"))
                    arguments = said if isinstance(said, str) else json.dumps(said or {}, ensure_ascii=False)
                    calls.append(
                        ToolCall(id=_call_id(part), name=text(part.get("name")), arguments=text(arguments))
                    )
                elif kind == "toolCallResult":
                    above = done(above)
                    said = part.get("content")
                    result = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
                    called = next(
                        (c for m in reversed(self._messages) for c in m.tool_calls if c.id == _call_id(part)),
                        None,
                    )
                    message = StoredMessage(
                        id="",
                        role="tool",
                        content=text(result),
                        tool_call_id=_call_id(part),
                        tool_name=called.name if called is not None else text(part.get("name")),
                        chosen=shown,
                    )
                    above = self._put(above, place, number, message)
                else:
                    said, _ = self._words([part])
                    (thoughts if thinks else words).append(said)
        return done(above)

    def _called(self, id: str) -> ToolCall | None:
        calls = (call for message in reversed(self._messages) for call in message.tool_calls)
        return next((call for call in calls if call.id == id), None)

    def _words(self, parts: list[Any]) -> tuple[str, tuple[Attachment, ...]]:
        """Text and pictures of content; what is of another kind is named."""
        words: list[str] = []
        pictures: list[Attachment] = []
        for part in map(fields, parts):
            if isinstance(part.get("text"), str):
                words.append(text(part["text"]))
            elif part.get("type") == "file":
                name = text(part.get("fileIdentifier") or part.get("name"))
                data = self._beside.named(name) if part.get("fileType") == "image" else None
                try:
                    if data is None:
                        raise InvalidRequest("It is not there.")
                    pictures.append(attached(data, self._files, name))
                except InvalidRequest:
                    self._missing.append(name)
                    words.append(f"[{name or 'file'}]")
            elif part:
                words.append(f"```json\n{text(json.dumps(part, ensure_ascii=False))}\n```")
        return "".join(words), tuple(pictures)


def _call_id(part: dict[str, Any]) -> str:
    said = part.get("toolCallRequestId") or part.get("toolCallId") or part.get("callId")
    return text(str(said)) if said is not None else "call"


def _usage(stats: dict[str, Any]) -> Usage | None:
    read, written = stats.get("promptTokensCount"), stats.get("predictedTokensCount")
    if isinstance(read, int) and isinstance(written, int) and read >= 0 and written >= 0:
        return Usage(prompt_tokens=read, completion_tokens=written)
    return None

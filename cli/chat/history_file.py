"""A conversation in a JSON file of OpenAI messages, for scripts: read before the question, written after the answer.

The file holds a list of messages, or an object with a list `messages`. What is there already stays as it is written;
the file is replaced whole, so that it is never half of anything.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import InvalidRequest, StorageFailed
from engine.media import image_from_json
from engine.types import ImagePart, Message, Part, TextPart, ToolCall

ROLES = ("system", "developer", "user", "assistant", "tool")


class HistoryFile:
    """The file `path`, which need not be there yet. Raises InvalidRequest for what is no such history."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holder: dict[str, Any] | None = None
        self._raw: list[dict[str, Any]] = []
        self._read()
        self.messages = [_message(each, f"messages[{place}]") for place, each in enumerate(self._raw)]
        """What was in it."""
        self._known = dict(zip(map(id, self.messages), self._raw, strict=True))

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f"The history {self.path} cannot be read.", f"{error}.", param="history"
            ) from None
        try:
            value = json.loads(text) if text.strip() else []
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                f"The history {self.path} is not JSON.", f"{error}.", _FIX, param="history"
            ) from None
        self._holder = value if isinstance(value, dict) else None
        messages = value.get("messages") if isinstance(value, dict) else value
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            raise InvalidRequest(
                f"The history {self.path} is no list of messages.", fix=_FIX, param="history"
            )
        self._raw = messages

    def write(self, messages: list[Message]) -> None:
        """Have the file hold `messages`. Raises StorageFailed."""
        raw = [self._known.get(id(each)) or _raw(each) for each in messages]
        value: Any = raw if self._holder is None else {**self._holder, "messages": raw}
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(value, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path.resolve())
        except OSError as error:
            raise StorageFailed(
                f"The history {self.path} cannot be written.", f"{error.strerror or error}."
            ) from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


_FIX = 'It holds a list such as [{"role": "user", "content": "Hello"}], or an object with such a list as "messages".'


def _message(raw: dict[str, Any], where: str) -> Message:
    role = raw.get("role")
    if role not in ROLES:
        raise InvalidRequest(f"{where} of the history has no role that is known.", f"It is {role!r}.", _FIX)
    return Message(
        role="system" if role == "developer" else role,
        content=_content(raw.get("content"), where),
        reasoning=_text(raw.get("reasoning_content")) or None,
        tool_calls=_calls(raw.get("tool_calls"), where),
        tool_call_id=_text(raw.get("tool_call_id")) or None,
        tool_name=(_text(raw.get("name")) or None) if role == "tool" else None,
    )


def _content(value: Any, where: str) -> str | tuple[Part, ...]:
    if value is None or isinstance(value, str):
        return value or ""
    parts: list[Part] = []
    for part in value if isinstance(value, list) else [None]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            parts.append(TextPart(part["text"]))
        elif kind == "image_url":
            parts.append(image_from_json(part, where))
        elif kind == "image" and isinstance(part.get("path"), str):
            parts.append(ImagePart(path=part["path"]))
        else:
            raise InvalidRequest(f"The content of {where} of the history cannot be read.", fix=_FIX)
    return tuple(parts)


def _calls(value: Any, where: str) -> tuple[ToolCall, ...]:
    found = []
    for each in value if isinstance(value, list) else []:
        said = each.get("function") if isinstance(each, dict) else None
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            raise InvalidRequest(f"A call of {where} of the history has no name.", fix=_FIX)
        found.append(
            ToolCall(id=_text(each.get("id")), name=said["name"], arguments=_text(said.get("arguments")))
        )
    return tuple(found)


def _raw(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role}
    if isinstance(message.content, str):
        found["content"] = message.content
    else:
        found["content"] = [
            {"type": "image", "path": part.path}
            if isinstance(part, ImagePart)
            else {"type": "text", "text": getattr(part, "text", "")}
            for part in message.content
        ]
    if message.reasoning:
        found["reasoning_content"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    if message.tool_name:
        found["name"] = message.tool_name
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

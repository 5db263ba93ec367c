"""`conversations.json` of a ChatGPT export: a list of conversations, each a tree of nodes in `mapping`.

A node has `parent`, `children` and perhaps a `message`: `author.role`, `content` of a `content_type`, `recipient`
(`all`, or the tool that is called), `metadata`. One answer may be several nodes: thoughts, a call, its result, a text.
`current_node` is the end of the branch that is shown. Pictures are files beside it, named by their asset's id.
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
    FinishReason,
    StoredMessage,
    ToolCall,
)

FOLDER = "ChatGPT"
_ENDS: dict[str, FinishReason] = {"stop": "stop", "max_tokens": "length", "interrupted": "cancelled"}
_SCHEMES = ("file-service://", "sediment://")


def is_one(value: Any) -> bool:
    """Whether `value` is a conversation of ChatGPT."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def read(values: list[Any], beside: Beside) -> Iterator[Entry]:
    """The conversations of an export, those that cannot be read named."""
    for place, value in enumerate(values):
        title = text(fields(value).get("title")) or f"entry {place + 1}"
        try:
            if not is_one(value):
                raise InvalidRequest("It is no conversation.", "It has no mapping of messages.")
            yield _Conversation(value, beside).read()
        except (InvalidRequest, LookupError, TypeError, ValueError, RecursionError) as error:
            yield refusal(title, error)


class _Conversation:
    """One conversation on its way in."""

    def __init__(self, value: dict[str, Any], beside: Beside) -> None:
        self._value, self._beside = value, beside
        self._nodes: dict[str, dict[str, Any]] = {
            str(name): fields(node) for name, node in value["mapping"].items()
        }
        self._messages: dict[str, StoredMessage] = {}
        self._files: Files = {}
        self._missing: list[str] = []
        self._system: list[str] = []

    def read(self) -> Imported:
        value = self._value
        shown = self._shown()
        # (node, the message above it, thinking that belongs to the message below)
        waiting = [(root, "", "") for root in reversed(self._roots())]
        seen: set[str] = set()
        while waiting:
            name, above, thought = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            above, thought = self._take(name, above, thought, name in shown)
            below = self._below(name)
            if not below and thought:
                self._put(
                    name + " thoughts",
                    above,
                    StoredMessage(id="", role="assistant", reasoning=thought),
                    False,
                )
            waiting += [(each, above, thought) for each in reversed(below)]
        if not self._messages:
            raise InvalidRequest("There is no message in it.")
        source = (
            value.get("conversation_id") or value.get("id") or (value.get("create_time"), value.get("title"))
        )
        summary = ConversationSummary(
            id=stable_id("chatgpt", source),
            title=text(value.get("title")),
            folder=FOLDER,
            pinned=value.get("is_starred") is True,
            archived=value.get("is_archived") is True,
            created=moment(value.get("create_time")),
            updated=moment(value.get("update_time")) or moment(value.get("create_time")),
        )
        system = "\n\n".join(dict.fromkeys(each for each in self._system if each))
        tree = ConversationTree(
            summary=summary,
            settings={"system": system} if system else None,
            messages=checked(list(self._messages.values())),
        )
        return Imported(tree=tree, files=self._files, known=True, missing=tuple(dict.fromkeys(self._missing)))

    # --- the tree

    def _below(self, name: str) -> list[str]:
        named = [each for each in items(self._nodes[name].get("children")) if each in self._nodes]
        return list(dict.fromkeys(named))

    def _roots(self) -> list[str]:
        """Nodes that nothing leads to; of nodes that lead to each other in a circle, one."""
        children = {each for name in self._nodes for each in self._below(name)}
        # A parent that does not know its child all the same has it.
        for name, node in self._nodes.items():
            parent = node.get("parent")
            if isinstance(parent, str) and parent in self._nodes and name not in children and parent != name:
                self._nodes[parent] = {**self._nodes[parent], "children": [*self._below(parent), name]}
                children.add(name)
        roots = [name for name in self._nodes if name not in children]
        reached: set[str] = set()
        waiting = list(roots)

        def reach() -> None:
            while waiting:
                at = waiting.pop()
                if at not in reached:
                    reached.add(at)
                    waiting.extend(self._below(at))

        reach()
        for name in self._nodes:
            if name not in reached:
                roots.append(name)
                waiting.append(name)
                reach()
        return roots

    def _shown(self) -> set[str]:
        """The nodes of the branch that ends in `current_node`."""
        found: set[str] = set()
        at = self._value.get("current_node")
        while isinstance(at, str) and at in self._nodes and at not in found:
            found.add(at)
            at = self._nodes[at].get("parent")
        return found

    def _put(self, name: str, above: str, message: StoredMessage, shown: bool) -> str:
        id = stable_id("chatgpt", name)
        self._messages[id] = replace(message, id=id, parent=above, chosen=shown)
        return id

    # --- one node

    def _take(self, name: str, above: str, thought: str, shown: bool) -> tuple[str, str]:
        """Take a node's message in: the message that is above its children, and thinking that is theirs."""
        message = fields(self._nodes[name].get("message"))
        content, about = fields(message.get("content")), fields(message.get("metadata"))
        author = fields(message.get("author"))
        kind, role = text(content.get("content_type")), author.get("role")
        if kind in ("user_editable_context", "model_editable_context") or role == "system":
            self._system += _instructions(content, about)
            return above, thought
        if kind == "thoughts":
            said = [
                "\n".join(filter(None, (text(each.get("summary")), text(each.get("content")))))
                for each in map(fields, items(content.get("thoughts")))
            ]
            return above, "\n\n".join(filter(None, [thought, *said]))
        if not message or kind == "reasoning_recap" or role not in ("user", "assistant", "tool"):
            return above, thought
        if thought and role != "assistant":
            above = self._put(
                name + " thoughts", above, StoredMessage(id="", role="assistant", reasoning=thought), shown
            )
            thought = ""
        words, pictures = self._content(content, kind)
        words = "\n\n".join(filter(None, [words, self._documents(about)]))
        recipient = text(message.get("recipient")) or "all"
        calls: tuple[ToolCall, ...] = ()
        if role == "assistant" and recipient != "all" and words:
            call = text(content.get("text")) if kind == "code" else words
            calls = (ToolCall(id=f"call-{stable_id(name)}", name=recipient, arguments=call),)
            words = ""
        if not (words or pictures or calls or thought):
            return above, thought
        ended = fields(about.get("finish_details")).get("type")
        caller = self._messages.get(above)
        answers = (
            caller.tool_calls[0].id if role == "tool" and caller is not None and caller.tool_calls else ""
        )
        made = StoredMessage(
            id="",
            role=role,
            content=mentioning(words, pictures),
            attachments=pictures,
            reasoning=thought,
            tool_calls=calls,
            tool_call_id=answers,
            tool_name=text(author.get("name")) if role == "tool" else "",
            model=text(about.get("model_slug")) if role == "assistant" else "",
            finish=_ENDS.get(ended) if isinstance(ended, str) and role == "assistant" else None,
            stopped=ended == "interrupted",
            created=moment(message.get("create_time")),
        )
        return self._put(name, above, made, shown), ""

    def _content(self, content: dict[str, Any], kind: str) -> tuple[str, tuple[Attachment, ...]]:
        """What a message says; of a kind that is not known, its JSON."""
        if kind in ("text", "multimodal_text"):
            words, pictures = [], []
            for part in items(content.get("parts")):
                said, picture = self._part(part)
                words.append(said)
                pictures += [picture] if picture is not None else []
            return "\n\n".join(filter(None, words)), tuple(pictures)
        if kind == "code":
            code = text(content.get("text"))
            language = text(content.get("language")).replace("unknown", "")
            return f"```{language}\n{code}\n```" if code else "", ()
        if kind in ("execution_output", "system_error"):
            return "\n".join(filter(None, (text(content.get("name")), text(content.get("text"))))), ()
        if kind in ("tether_quote", "tether_browsing_display", "sonic_webpage"):
            cited = (text(content.get(each)) for each in ("title", "url", "text", "result", "summary"))
            return "\n\n".join(filter(None, cited)), ()
        rest = {name: value for name, value in content.items() if value not in (None, "", [], {})}
        if not set(rest) - {"content_type"}:
            return "", ()
        return f"```json\n{text(json.dumps(rest, ensure_ascii=False, indent=1))}\n```", ()

    def _part(self, part: Any) -> tuple[str, Attachment | None]:
        if isinstance(part, str):
            return text(part), None
        part = fields(part)
        pointer = text(part.get("asset_pointer"))
        if part.get("content_type") == "audio_transcription" or isinstance(part.get("text"), str):
            return text(part.get("text")), None
        if not pointer:
            return text(json.dumps(part, ensure_ascii=False)) if part else "", None
        id = pointer
        for scheme in _SCHEMES:
            id = id.removeprefix(scheme)
        id = id.partition("?")[0]
        data = self._beside.beginning(id) if "image" in text(part.get("content_type")) else None
        if data is not None:
            try:
                return "", attached(data, self._files)
            except InvalidRequest:
                pass
        self._missing.append(id)
        return f"[{id}]", None

    def _documents(self, about: dict[str, Any]) -> str:
        """The names of attached files that are no pictures: their contents are not in an export."""
        found = []
        for each in map(fields, items(about.get("attachments"))):
            kind = text(each.get("mimeType") or each.get("mime_type"))
            if (name := text(each.get("name"))) and not kind.startswith("image/"):
                found.append(f"[{name}]")
                self._missing.append(name)
        return " ".join(found)


def _instructions(content: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """What stands in the place of a system prompt."""
    told = fields(about.get("user_context_message_data"))
    said = [
        *(text(content.get(each)) for each in ("user_profile", "user_instructions", "model_set_context")),
        *(text(told.get(each)) for each in ("about_user_message", "about_model_message")),
        *(text(part) for part in items(content.get("parts"))),
    ]
    return [each.strip() for each in said if each.strip()]

"""From the tree to what the message window shows: titles with model, adapters and branch, calls, figures, errors."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from engine.text_safety import clean, plain
from engine.types import ToolCall
from tui.asking import adapters
from tui.asking.pictures import named
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.figures import meta_line, warnings
from tui.stream.calls import CallView
from tui.stream.frozen import MessageView
from tui.stream.heights import guess_rows
from tui.stream.message_list import MessageList
from tui.stream.pictures import GLYPH
from tui.telling.thinking import thought

NO_RESULT, GIVE_ONE = "no result yet", "no result yet · t gives one"


def views_of(conversation: Conversation, path: Sequence[Node], unfolded: Container[str] = ()) -> MessageList:
    """Finished messages as the window shows them, each made when it is asked for; `unfolded` by their view ids."""
    ids = [view_id(conversation, node) for node in path]
    return MessageList(
        ids,
        view=lambda place: view_of(conversation, path[place], folded=ids[place] not in unfolded),
        guess=lambda place, width: _guessed_rows(path[place], width),
    )


def _guessed_rows(node: Node, width: int) -> int:
    calls = [call.arguments for call in node.tool_calls]
    asides = (node.usage is not None) + bool(node.reasoning)
    return guess_rows(node.content, width, asides=asides, arguments=calls, pictures=len(node.pictures))


def view_of(conversation: Conversation, node: Node, *, folded: bool = True) -> MessageView:
    """A finished message as the window shows it."""
    return MessageView(
        id=view_id(conversation, node),
        role=node.role,
        text=clean(said(node)),
        title=title(conversation, node),
        meta=meta_line(node),
        alert=alert(conversation, node),
        reasoning=clean(node.reasoning),
        folded=folded,
        thought=thought(node.thought_ns / 1e9, node.thought_tokens) if node.reasoning else "",
        warning=warnings(node),
        calls=calls(conversation, node),
        syntax=node.syntax,
        pictures=node.pictures,
    )


def said(node: Node) -> str:
    """The text of a message as it is shown: a picture's mention is its short name; pictures alone need no words."""
    if not node.pictures:
        return node.content
    if not named(node.content, node.pictures, lambda name: "").strip():
        return ""
    return named(node.content, node.pictures, lambda name: f"{GLYPH}\u00a0{_literally(name)}")


def _literally(name: str) -> str:
    """A name of which Markdown makes nothing."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~&:@])", r"\\\1", name)


def growing_view(conversation: Conversation, node: Node, *, folded: bool = True) -> MessageView:
    """All but the text of a message that is being written; its text is appended."""
    thinks = bool(node.reasoning) and not node.content and not node.tool_calls
    return MessageView(
        view_id(conversation, node),
        node.role,
        "",
        title=title(conversation, node),
        folded=folded,
        thought=thought(node.thought_ns / 1e9, node.thought_tokens, running=thinks) if node.reasoning else "",
        warning=warnings(node),
        calls=tuple(
            _call(call, "being written" if call is node.tool_calls[-1] else "") for call in node.tool_calls
        ),
        syntax=node.syntax,
    )


def view_id(conversation: Conversation, node: Node) -> str:
    """An id that no other conversation's message has."""
    return f"{conversation.id}.{node.id}"


def alert(conversation: Conversation, node: Node) -> str:
    """What went wrong, why, and what to do: a line each; empty if nothing did."""
    error = node.error
    if error is None:
        return ""
    fix = (
        _fix_for_pictures(conversation, node)
        or error.fix
        or ("Press c to try again." if error.retryable else "")
    )
    return "\n".join(
        part for part in (f"✗ {error.what}", error.why and f"  {error.why}", fix and f"→ {fix}") if part
    )


def _fix_for_pictures(conversation: Conversation, node: Node) -> str:
    """What to do where a model takes no pictures; empty where that is not what is wrong."""
    error = node.error
    if error is None or error.code != "unsupported" or not (error.param or "messages").startswith("messages"):
        return ""
    if node.parent not in conversation.nodes:
        return ""
    question = conversation.nodes[node.parent]
    if question.returned:
        return "It is in the prompt again: ^k chooses a model that sees, or take the picture out."
    if any(before.pictures for before in conversation.path_to(question.id)):
        return "A message before it holds a picture: ^k chooses a model that sees, ^n begins anew."
    return ""


def title(conversation: Conversation, node: Node) -> str:
    """`You`, the model's name with its adapters, or the tool's; which branch of how many, a star."""
    place, count = conversation.place(node.id)
    speaker = f"{_speaker(node)}  ★" if node.starred else _speaker(node)
    return f"{speaker}   ‹ branch {place}/{count} ›" if count > 1 else speaker


def _speaker(node: Node) -> str:
    if node.role == "user":
        return "› You"
    if node.role == "tool":
        return f"↳ {plain(node.tool_name, 40) or 'tool'}{' · failed' if node.tool_error else ''}"
    chosen = adapters.shown(node.adapters)
    model = node.model.removesuffix(f":{adapters.written(node.adapters)}")
    return f"◆ {plain(model, 40) or 'model'}{f' + {chosen}' if chosen else ''}"


def calls(conversation: Conversation, node: Node) -> tuple[CallView, ...]:
    """The calls of a message, each with what became of it."""
    if not node.tool_calls:
        return ()
    results = conversation.results_of(node.id)
    waits = {call.id for call in conversation.open_calls()}
    return tuple(
        _call(call, _became(results.get(call.id), GIVE_ONE if call.id in waits else NO_RESULT))
        for call in node.tool_calls
    )


def _became(result: Node | None, nothing: str) -> str:
    if result is None:
        return nothing
    return "answered: it failed" if result.tool_error else "answered"


def _call(call: ToolCall, note: str) -> CallView:
    return CallView(call.id, call.name, call.arguments, note)

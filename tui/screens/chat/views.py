"""From the tree to what the message window shows: titles with the branch, meta lines, errors."""

from __future__ import annotations

from engine.text_safety import clean, plain
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.figures import meta_line
from tui.stream.frozen import MessageView


def view_of(conversation: Conversation, node: Node, *, folded: bool = True) -> MessageView:
    """A finished message as the window shows it."""
    return MessageView(
        id=view_id(conversation, node),
        role=node.role,
        text=clean(node.content),
        title=title(conversation, node),
        meta=meta_line(node),
        alert=alert(node),
        reasoning=clean(node.reasoning),
        folded=folded,
    )


def growing_view(conversation: Conversation, node: Node) -> MessageView:
    """The frame of a message that is being written; its text is appended."""
    return MessageView(view_id(conversation, node), node.role, "", title=title(conversation, node))


def view_id(conversation: Conversation, node: Node) -> str:
    """An id that no other conversation's message has."""
    return f"{conversation.id}.{node.id}"


def alert(node: Node) -> str:
    """What went wrong, why, and what to do: a line each; empty if nothing did."""
    error = node.error
    if error is None:
        return ""
    fix = error.fix or ("Press c to try again." if error.retryable else "")
    return "\n".join(
        part for part in (f"✗ {error.what}", error.why and f"  {error.why}", fix and f"→ {fix}") if part
    )


def title(conversation: Conversation, node: Node) -> str:
    """`You` or the model's name, and which branch of how many."""
    name = "› You" if node.role == "user" else f"◆ {plain(node.model, 40) or 'model'}"
    place, count = conversation.place(node.id)
    return f"{name}   ‹ branch {place}/{count} ›" if count > 1 else name

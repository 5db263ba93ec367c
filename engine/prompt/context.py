"""Fits a conversation into the context window by dropping its oldest turns, and says what it dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.errors import ContextOverflow
from engine.types import Message, Overflow


class Fitted(Struct, frozen=True, kw_only=True):
    """The messages that fit, what they come to, and what is missing of those that were given."""

    messages: tuple[Message, ...]
    prompt_tokens: int
    dropped_messages: int = 0
    dropped_tokens: int = 0


def prompt_limit(window: int, reserve: int, max_tokens: int | None = None) -> int:
    """Most prompt tokens in a window of `window` tokens of which `reserve` are kept free for the answer.

    No more is kept free than the answer may have (`max_tokens`), nor than half the window.
    """
    wanted = reserve if max_tokens is None else min(reserve, max_tokens)
    return window - min(wanted, window // 2)


def fit(
    messages: Sequence[Message],
    limit: int,
    count: Callable[[Sequence[Message]], int],
    policy: Overflow = "drop_oldest",
) -> Fitted:
    """As much of `messages` as comes to at most `limit` tokens by `count`, the newest first.

    A turn is a user message with the answers and tool results that follow it, and goes as a whole. System
    messages and the last turn stay. `count` is called about log2(turns) times; dropping a turn must not raise
    its result. Under `shift` a prompt is cut as under `drop_oldest`: shifting is for what is generated later.
    Raises ContextOverflow when it cannot fit, or would have to be cut under `refuse`.
    """
    total = count(messages)
    if total <= limit:
        return Fitted(messages=tuple(messages), prompt_tokens=total)
    starts = _turns(messages)
    if policy == "refuse" or len(starts) < 2:
        raise _overflow(total, limit, "The conversation" if len(messages) > 1 else "The message")

    counted: dict[int, int] = {}

    def tokens(dropped: int) -> int:
        if dropped not in counted:
            counted[dropped] = count(_without(messages, starts[dropped]))
        return counted[dropped]

    most = len(starts) - 1
    if tokens(most) > limit:
        raise _overflow(tokens(most), limit, "Even its last turn alone")
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if tokens(middle) <= limit:
            high = middle
        else:
            low = middle + 1
    kept = _without(messages, starts[low])
    return Fitted(
        messages=tuple(kept),
        prompt_tokens=tokens(low),
        dropped_messages=len(messages) - len(kept),
        dropped_tokens=total - tokens(low),
    )


def _turns(messages: Sequence[Message]) -> list[int]:
    """Where the turns begin; what stands before the first user message is a turn of its own."""
    talk = [index for index, message in enumerate(messages) if message.role != "system"]
    return [index for index in talk if index == talk[0] or messages[index].role == "user"]


def _without(messages: Sequence[Message], start: int) -> list[Message]:
    """The messages from `start` on, and every system message before."""
    return [message for index, message in enumerate(messages) if index >= start or message.role == "system"]


def _overflow(tokens: int, limit: int, what: str) -> ContextOverflow:
    return ContextOverflow(
        f"The prompt does not fit the context window: {tokens:,} tokens, and there is room for {limit:,}.",
        f"{what} is too long; the rest of the window is kept free for the answer.",
        "Shorten the message, use a larger context (`context`) or a model that has one, "
        "or lower generation.answer_reserve.",
        param="messages",
    )

"""The quiet line below a message: tokens read and written, rate, TTFT, prefill and decode, why it ended."""

from __future__ import annotations

from engine.types import FinishReason
from tui import units
from tui.screens.chat.conversation import Node

ENDS: dict[FinishReason, str] = {
    "stop": "",
    "stop_string": "stop string",
    "length": "token limit reached · c continues",
    "context_full": "context full",
    "tool_calls": "tool call",
    "content_filter": "filtered",
    "cancelled": "",
}
"""What each reason reads as; nothing for the usual end."""


def meta_line(node: Node) -> str:
    """The line of a finished answer; empty for a message that a person wrote."""
    if node.role == "user":
        return ""
    parts: list[str] = []
    if node.stopped:
        parts.append("■ stopped · c continues")
    elif node.finish is not None and ENDS[node.finish]:
        parts.append(ENDS[node.finish])
    if node.dropped:
        parts.append(f"{node.dropped} older message{'' if node.dropped == 1 else 's'} left out")
    if node.edited:
        parts.append("edited by you")
    return " · ".join([*parts, *_figures(node)])


def _figures(node: Node) -> list[str]:
    usage, timings = node.usage, node.timings
    if usage is None or timings is None or not usage.completion_tokens:
        return []
    read = f"{units.tokens(usage.prompt_tokens)} → " if usage.prompt_tokens else ""
    found = [f"{read}{usage.completion_tokens} tokens"]
    rate = timings.decode_rate(usage.completion_tokens)
    if rate is not None:
        found.append(f"{rate:.{1 if rate < 100 else 0}f} tok/s")
    if timings.first_token:
        found.append(f"TTFT {units.seconds(timings.ttft_s)}")
        found.append(f"prefill {units.seconds(timings.prefill_s)}")
        found.append(f"decode {units.seconds(timings.decode_s)}")
    return found

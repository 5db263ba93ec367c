"""The quiet line below a message: tokens read and written, what the cache gave, rate, times, why it ended.

What must not be overlooked is not in it but in `warnings`: a smaller window, history that was left out, tokens that
were forgotten.
"""

from __future__ import annotations

from engine.types import FinishReason
from tui import units
from tui.screens.chat.conversation import Node
from tui.telling import prompt

ENDS: dict[FinishReason, str] = {
    "stop": "",
    "stop_string": "stop string",
    "length": "token limit reached · c continues",
    "context_full": "context full",
    "tool_calls": "",
    "content_filter": "filtered",
    "cancelled": "",
}
"""What each reason reads as; nothing for the usual end, and for calls, which show themselves."""


def meta_line(node: Node) -> str:
    """The line of a finished answer; empty for a message that a person wrote."""
    if node.role != "assistant":
        return ""
    parts: list[str] = []
    if node.stopped:
        parts.append("■ stopped" if node.tool_calls else "■ stopped · c continues")
    elif node.interrupted:
        parts.append("■ cut off when Hearth ended" + ("" if node.tool_calls else " · c continues"))
    elif node.finish is not None and ENDS[node.finish]:
        parts.append(ENDS[node.finish])
    if node.edited:
        parts.append("edited by you")
    return " · ".join([*parts, *_figures(node)])


def warnings(node: Node) -> str:
    """What was cut for this answer: a sentence a line."""
    said = [
        prompt.smaller_window(node.context, node.context_asked),
        prompt.dropped(node.dropped, node.dropped_tokens),
        prompt.shifted(node.shifted),
    ]
    return "\n".join(sentence for sentence in said if sentence)


def _figures(node: Node) -> list[str]:
    usage, timings = node.usage, node.timings
    if usage is None or timings is None or not node.written:
        return []
    read = f"{units.tokens(usage.prompt_tokens)} → " if usage.prompt_tokens else ""
    rate = timings.decode_rate(usage.completion_tokens)
    found = [
        f"{read}{prompt.count(node.written, 'token')}",
        "" if rate is None else f"{rate:.{1 if rate < 100 else 0}f} tok/s",
        f"TTFT {units.seconds(timings.ttft_s)}" if timings.first_token else "",
        prompt.cached(usage.prompt_tokens, usage.cached_tokens, node.miss),
        prompt.guesses(usage.draft_accepted, usage.draft_rejected),
    ]
    if timings.first_token:
        found.append(f"prefill {units.seconds(timings.prefill_s)}")
        found.append(f"decode {units.seconds(timings.decode_s)}")
    return [part for part in found if part]

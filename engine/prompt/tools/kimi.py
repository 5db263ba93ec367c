"""Moonshot's Kimi K2, which makes its own ids of the function's name and a count:

    <|tool_calls_section_begin|><|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>{"city": "Rome"}\
<|tool_call_end|><|tool_calls_section_end|>
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Arguments, NameInId
from engine.types import ToolCall

_BEGIN, _END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
_CALL, _ARGUMENT, _CALL_END = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"


class _Kimi(Form):
    marks = (_BEGIN, _END, _CALL, _ARGUMENT, _CALL_END)
    opens = _BEGIN
    begin = _BEGIN
    each = (_CALL, NameInId(), _ARGUMENT, Arguments(), _CALL_END)
    end = _END


class KimiCounted(_Kimi):
    """The first template counts the calls of each answer itself, and results are told apart by those ids."""

    name = "kimi-counted"
    needles = (_ARGUMENT, "'functions.' +")

    def history_ids(self, calls: Sequence[ToolCall], before: int) -> list[str]:
        return [f"functions.{call.name}:{place}" for place, call in enumerate(calls)]


class Kimi(_Kimi):
    """Later ones write the ids as they are; those of another origin are counted through the conversation."""

    name = "kimi"
    needles = (_ARGUMENT,)

    def history_ids(self, calls: Sequence[ToolCall], before: int) -> list[str]:
        return [
            call.id if call.id.startswith(f"functions.{call.name}:") else f"functions.{call.name}:{place}"
            for place, call in enumerate(calls, before)
        ]

"""From messages to prompt text and back: the model's template, the context window, reasoning and tool calls.

Pure text work: nothing here knows a backend, a token id or a file.

Importing this package imports nothing: each name is loaded when first asked for, and with it the template engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.prompt.answer import AnswerForm, answer_form
    from engine.prompt.context import Fitted, fit, prompt_limit
    from engine.prompt.effort import BUDGETS, ThinkingPlan, thinking_of
    from engine.prompt.parts import AnswerPart, CallPart, Passage
    from engine.prompt.reader import Reader
    from engine.prompt.template import FALLBACK, FALLBACK_STOPS, Template, for_model
    from engine.prompt.thinking import ThinkingSplitter, starts_inside, tags_of
    from engine.prompt.tools import FORMATS, ToolFormat, format_of

__all__ = [
    "BUDGETS",
    "FALLBACK",
    "FALLBACK_STOPS",
    "FORMATS",
    "AnswerForm",
    "AnswerPart",
    "CallPart",
    "Fitted",
    "Passage",
    "Reader",
    "Template",
    "ThinkingPlan",
    "ThinkingSplitter",
    "ToolFormat",
    "answer_form",
    "fit",
    "for_model",
    "format_of",
    "prompt_limit",
    "starts_inside",
    "tags_of",
    "thinking_of",
]

_ROOMS = {
    "answer": ("AnswerForm", "answer_form"),
    "context": ("Fitted", "fit", "prompt_limit"),
    "effort": ("BUDGETS", "ThinkingPlan", "thinking_of"),
    "parts": ("AnswerPart", "CallPart", "Passage"),
    "reader": ("Reader",),
    "template": ("FALLBACK", "FALLBACK_STOPS", "Template", "for_model"),
    "thinking": ("ThinkingSplitter", "starts_inside", "tags_of"),
    "tools": ("FORMATS", "ToolFormat", "format_of"),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"engine.prompt.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

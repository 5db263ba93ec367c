"""From messages to prompt text and back: the model's template, the context window, reasoning and tool calls.

Pure text work: nothing here knows a backend, a token id or a file.
"""

from __future__ import annotations

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

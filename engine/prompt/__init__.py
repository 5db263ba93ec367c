"""From messages to prompt text and back: the model's template, the context window, reasoning set apart.

Pure text work: nothing here knows a backend, a token id or a file.
"""

from __future__ import annotations

from engine.prompt.context import Fitted, fit, prompt_limit
from engine.prompt.template import FALLBACK, FALLBACK_STOPS, Template, for_model
from engine.prompt.thinking import ThinkingSplitter, starts_inside, tags_of

__all__ = [
    "FALLBACK",
    "FALLBACK_STOPS",
    "Fitted",
    "Template",
    "ThinkingSplitter",
    "fit",
    "for_model",
    "prompt_limit",
    "starts_inside",
    "tags_of",
]

"""Tool calls as the families of models write them: what a grammar allows, what a reader takes for one.

One module a family. A family is known by its template; what no family knows gets `generic`.
"""

from __future__ import annotations

from functools import cache

from engine.prompt.tools.base import Offer, ToolFormat
from engine.prompt.tools.cohere import CommandR7B, CommandRPlus
from engine.prompt.tools.deepseek import DeepSeekR1, DeepSeekV31
from engine.prompt.tools.functionary import Functionary31, Functionary32
from engine.prompt.tools.generic import Generic
from engine.prompt.tools.harmony import Harmony
from engine.prompt.tools.hermes import Hermes
from engine.prompt.tools.kimi import Kimi, KimiCounted
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.lists import Apriel, Firefunction, Granite, Lfm, Nemotron, Phi
from engine.prompt.tools.llama3 import Llama3
from engine.prompt.tools.markup import Glm, MiniMax, QwenCoder, Seed
from engine.prompt.tools.mistral import Mistral, MistralIds, MistralList

__all__ = ["FORMATS", "Ledger", "Offer", "ToolFormat", "format_of"]

FORMATS: tuple[ToolFormat, ...] = (
    Harmony(),
    CommandR7B(),
    CommandRPlus(),
    KimiCounted(),
    Kimi(),
    DeepSeekR1(),
    DeepSeekV31(),
    MistralIds(),
    Mistral(),
    MistralList(),
    Nemotron(),
    Apriel(),
    Granite(),
    Phi(),
    Lfm(),
    Firefunction(),
    Functionary32(),
    MiniMax(),
    Glm(),
    Seed(),
    QwenCoder(),
    Functionary31(),
    Hermes(),
    Llama3(),
    Generic(),
)
"""The families, each before those whose marks it shares; the last one takes all."""


@cache
def format_of(source: str | None) -> ToolFormat:
    """The family of a template's source."""
    return next(family for family in FORMATS if family.recognises(source or ""))

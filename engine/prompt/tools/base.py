"""What a family of models is asked about its tool calls, and the tools that one answer may call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from engine.prompt.incoming import Incoming, Step
from engine.prompt.parts import Passage
from engine.prompt.tools.ledger import Ledger, call_id
from engine.prompt.tools.rules import Rules
from engine.types import Tool, ToolCall

MOST_CALLS = 32
"""Most calls in one answer: a small model may go on for ever."""


class Offer(Struct, frozen=True, kw_only=True):
    """The tools that may be called in one answer."""

    tools: tuple[Tool, ...] = ()
    parallel: bool = True
    """Whether there may be several calls."""
    bare: bool = True
    """Whether a call may stand without its tags: not where content of a given form could look like one."""
    builtin: frozenset[str] = frozenset()
    """Names of tools that the prompt offers as the model's own (see the Llama family)."""


class ToolFormat(ABC):
    """How one family writes its answers where tools are offered.

    The grammar's side is made of Lark fragments for `Rules`; an answer is text, then perhaps calls. The reader's
    side is a step over the text with its special tokens written out, behind the reasoning.
    """

    name: str
    """Stable: it travels as `ModelFacts.tool_format`."""
    marks: tuple[str, ...] = ()
    """Texts that may be special tokens, and which the reader must see."""
    wraps: tuple[str, str] | None = None
    """Tags that the family puts around what it says."""
    channels: bool = False
    """Whether its answers have channels, one of them for the reasoning, which it then reads itself."""
    addressed: bool = False
    """Whether every message of an answer has a head: one that is gone on with has had it."""
    takes_over: bool = False
    """Whether Hearth describes tools and writes calls, whatever the template would do with them."""

    @abstractmethod
    def recognises(self, source: str) -> bool:
        """Whether a template with this source is of the family."""

    def thought(self, rules: Rules, budget: int | None) -> str:
        """The reasoning, if any, of a family whose answers have channels."""
        return ""

    @abstractmethod
    def said(self, rules: Rules, content: str | None = None) -> str:
        """An answer without calls: `content`, or any text."""

    @abstractmethod
    def lead(self, rules: Rules, offer: Offer) -> str:
        """What comes before `calls` where text may come first: the text and what opens the calls."""

    @abstractmethod
    def opening(self, rules: Rules, offer: Offer) -> str:
        """What comes before `calls` where nothing else may: just what opens them."""

    @abstractmethod
    def calls(self, rules: Rules, offer: Offer) -> str:
        """The calls, from behind what opens them."""

    @abstractmethod
    def silent(self, rules: Rules) -> str:
        """An answer that opens no call."""

    @abstractmethod
    def read(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        """Read an answer to its end."""

    @abstractmethod
    def write(self, calls: Sequence[ToolCall]) -> str:
        """Calls as the model writes them."""

    def new_id(self) -> str:
        """An id for a call that the model gave none."""
        return call_id()

    def history_ids(self, calls: Sequence[ToolCall], before: int) -> list[str]:
        """The ids under which a template of the family takes calls of an earlier answer; `before` it were so many."""
        return [call.id for call in calls]

    def history_values(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """A call's arguments as a template of the family writes them best."""
        return arguments


def shown(text: str) -> Passage:
    """A passage that is shown."""
    return Passage("content", text)

"""gpt-oss: an answer is a list of messages, each with a channel, and a call is one that is addressed to its tool.

    <|channel|>analysis<|message|>I need the weather.<|end|><|start|>assistant<|channel|>commentary \
to=functions.look <|constrain|>json<|message|>{"city": "Rome"}<|call|>
    <|channel|>final<|message|>It is sunny.<|return|>

The prompt ends with `<|start|>assistant`. `analysis` is the reasoning; `final`, and `commentary` to nobody, is what is
said; the address may stand before the channel. The model stops at its call, so there is one in an answer.
(OpenAI's harmony format.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from engine.prompt.grammar import literal
from engine.prompt.incoming import Give, Incoming, Step
from engine.prompt.parts import Passage
from engine.prompt.tools.base import Offer, ToolFormat, shown
from engine.prompt.tools.holes import Draft, arguments
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.prompt.tools.schemas import arguments_lark
from engine.types import ToolCall

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
END, CALL, RETURN = "<|end|>", "<|call|>", "<|return|>"
FINAL = f"{CHANNEL}final{MESSAGE}"
"""The head of the message that is said, for prompts that begin it."""
_LONGEST_HEAD = 400
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_HEAD = re.compile(r"\s*(<\|channel|to=|$)")
"""How the head of a message begins; one that breaks off says nothing."""
_TO = re.compile(r"\bto=([^\s<]+)")


class Harmony(ToolFormat):
    name = "harmony"
    marks = (START, CHANNEL, MESSAGE, CONSTRAIN, END, CALL, RETURN)
    channels = True
    addressed = True

    def recognises(self, source: str) -> bool:
        return CHANNEL in source and MESSAGE in source

    def thought(self, rules: Rules, budget: int | None) -> str:
        analysis = f"{rules.mark(CHANNEL)} {literal('analysis')} {rules.mark(MESSAGE)}"
        message = rules.rule(
            "analysis", f"{analysis} {rules.thinking(END, budget, first=False)} {self._next(rules)}"
        )
        return f"{message}*" if budget is None else f"{message}?"

    def _next(self, rules: Rules) -> str:
        return f"{rules.mark(START)} {literal('assistant')}"

    def said(self, rules: Rules, content: str | None = None) -> str:
        head = f"{rules.mark(CHANNEL)} {literal('final')} {self._type(rules)} {rules.mark(MESSAGE)}"
        remarks = self._remarks(rules) if content is None else ""
        return f"{remarks} {head} {content or rules.anything} {rules.mark(END)}?"

    def lead(self, rules: Rules, offer: Offer) -> str:
        return self._remarks(rules)

    def _remarks(self, rules: Rules) -> str:
        """What is said to the user before a call or an answer."""
        head = f"{rules.mark(CHANNEL)} {literal('commentary')} {rules.mark(MESSAGE)}"
        remark = rules.rule("remark", f"{head} {rules.anything} {rules.mark(END)} {self._next(rules)}")
        return f"{remark}{{0,3}}"

    def opening(self, rules: Rules, offer: Offer) -> str:
        return ""

    def silent(self, rules: Rules) -> str:
        return self.said(rules, rules.without(CHANNEL))

    def calls(self, rules: Rules, offer: Offer) -> str:
        channel = f"{rules.mark(CHANNEL)} ({literal('commentary')} | {literal('analysis')})"
        tools = []
        for tool in offer.tools:
            to = literal(f" to=functions.{tool.name}")
            head = f"({channel} {to} | {to} {channel}) {self._type(rules)} {rules.mark(MESSAGE)}"
            tools.append(f"{head} {arguments_lark(tool)}")
        # The end of a call is an end of the model's turn, which a grammar never asks for, only allows.
        return f"{rules.one_of(tools)} {rules.mark(CALL)}?"

    def _type(self, rules: Rules) -> str:
        return f"({rules.gap} {rules.mark(CONSTRAIN)} {literal('json')} | {literal(' json')})?"

    def read(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        spoken: set[str] = set()
        while True:
            head = yield from incoming.short_until(MESSAGE, _LONGEST_HEAD)
            if head is None:
                if not (incoming.ended and _HEAD.match(incoming.rest)):
                    yield from incoming.until([], shown)
                return
            yield from incoming.literal(MESSAGE)
            channel, to = _CHANNEL.search(head), _TO.search(head)
            name = to[1].removeprefix("functions.") if to else None
            if name in ledger.names:
                yield from ledger.attempt(incoming, _call(incoming, ledger, str(name)))
            kind: Literal["content", "reasoning"] = "content"
            if name is None and channel is not None and channel[1] == "analysis":
                kind = "reasoning"
            if name is None and kind in spoken and (yield from incoming.has(1)):
                yield Passage(kind, "\n\n")
            if name is None:
                spoken.add(kind)
            yield from incoming.until(_ENDS, _giver(kind))
            yield from _message_end(incoming)

    def write(self, calls: Sequence[ToolCall]) -> str:
        return "".join(
            f" to=functions.{call.name}{CHANNEL}commentary json{MESSAGE}{call.arguments.strip() or '{}'}{CALL}"
            for call in calls[:1]
        )


_ENDS = (END, CALL, RETURN, START, CHANNEL)


def _giver(kind: Literal["content", "reasoning"]) -> Give:
    return lambda text: Passage(kind, text)


def _message_end(incoming: Incoming) -> Step[None]:
    """What ends a message and begins the next one's head."""
    for mark in (END, CALL, RETURN):
        yield from incoming.literal(mark)
    if (yield from incoming.literal(START)):
        yield from incoming.literal("assistant")


def _call(incoming: Incoming, ledger: Ledger, name: str) -> Step[bool]:
    return (yield from arguments(incoming, ledger, Draft(), name))

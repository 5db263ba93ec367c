"""MeetKai's Functionary: 3.1 writes `<function=look>{"city": "Rome"}</function>`, 3.2 addresses everything it says.

    >>>all
    I shall look.>>>look
    {"city": "Rome"}

The prompt ends with the first `>>>`, so an answer begins with the name of who is spoken to.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.prompt.grammar import literal
from engine.prompt.incoming import Incoming, Step
from engine.prompt.tools.base import MOST_CALLS, Offer, ToolFormat, shown
from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import LONGEST_NAME, NAME, Arguments, Draft, Name, arguments
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.prompt.tools.schemas import arguments_lark
from engine.types import ToolCall

_TO, _ALL = ">>>", "all"


class Functionary31(Form):
    name = "functionary-3.1"
    needles = ("<function=", "</function>")
    strangers = ("<parameter=",)
    opens = "<function="
    each = ("<function=", Name(), ">", Arguments(), "</function>")


class Functionary32(ToolFormat):
    name = "functionary-3.2"
    addressed = True

    def recognises(self, source: str) -> bool:
        return ">>>all" in source and "recipient" in source

    def said(self, rules: Rules, content: str | None = None) -> str:
        return f"{literal(_ALL)} {rules.gap} {content or rules.anything}"

    def lead(self, rules: Rules, offer: Offer) -> str:
        return f"({literal(_ALL)} {rules.gap} {rules.lead(_TO)})?"

    def opening(self, rules: Rules, offer: Offer) -> str:
        return ""

    def silent(self, rules: Rules) -> str:
        return self.said(rules, rules.without(_TO))

    def calls(self, rules: Rules, offer: Offer) -> str:
        newline = literal("\n")
        tools = [f"{literal(tool.name)} {newline} {arguments_lark(tool)}" for tool in offer.tools]
        call = rules.rule("call", rules.one_of(tools))
        others = f"({rules.gap} {literal(_TO)} {call}){{0,{MOST_CALLS - 1}}}" if offer.parallel else ""
        return f"{call} {others} {rules.gap}"

    def read(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        yield from incoming.opened(_TO)
        while not incoming.over and (yield from incoming.has(1)):
            if (yield from incoming.comes(f"{_ALL}\n")):
                yield from incoming.literal(f"{_ALL} ")
                end = yield from incoming.until([_TO], shown, trim=True)
            else:
                if (yield from ledger.attempt(incoming, _call(incoming, ledger))):
                    yield from incoming.space()
                end = yield from incoming.until([_TO], shown, trim=True)
            if end is not None:
                yield from incoming.literal(f" {_TO} ")

    def write(self, calls: Sequence[ToolCall]) -> str:
        return _TO.join(f"{call.name}\n{call.arguments.strip() or '{}'}" for call in calls)


def _call(incoming: Incoming, ledger: Ledger) -> Step[bool]:
    draft = Draft()
    name = yield from incoming.run(NAME, LONGEST_NAME)
    if name not in ledger.names or not (yield from incoming.literal(" ")):
        return False
    return (yield from arguments(incoming, ledger, draft, name))

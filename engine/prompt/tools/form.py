"""Families whose calls have a fixed form: texts, and holes that are filled from call to call.

From the one description of the form follow its grammar, its reader and how it is written. White space in the
texts is loose: any will do where some is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.prompt.incoming import Incoming, Step
from engine.prompt.tools.base import MOST_CALLS, Offer, ToolFormat, shown
from engine.prompt.tools.elements import Elements, bare_values
from engine.prompt.tools.holes import Draft, Hole, Object
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.types import ToolCall


class Form(ToolFormat):
    """`begin`, then calls of the form `each` with `between` them, then `end`.

    Where each call opens by itself `begin` and `end` are empty. `opens` is the text at the head of it all by
    which a call is known.
    """

    opens: str
    begin: str = ""
    each: tuple[str | Hole, ...] = ()
    between: str = ""
    end: str = ""
    needles: tuple[str, ...] = ()
    """Texts by which a template of the family is known: it has all of them."""
    strangers: tuple[str, ...] = ()
    """Texts that it has none of."""
    bare: bool = False
    """Whether an answer that is nothing but the object of a call is taken for one: models forget their tags."""

    def recognises(self, source: str) -> bool:
        return all(text in source for text in self.needles) and not any(
            text in source for text in self.strangers
        )

    def said(self, rules: Rules, content: str | None = None) -> str:
        fragment = content or rules.anything
        if self.wraps is None:
            return fragment
        first, last = self.wraps
        return f"{rules.mark(first)}? {fragment} {rules.mark(last)}?"

    def lead(self, rules: Rules, offer: Offer) -> str:
        lead = rules.lead(self.opens)
        return f"{rules.gap} {lead}" if self.wraps is None else f"({rules.mark(self.wraps[0])})? {lead}"

    def opening(self, rules: Rules, offer: Offer) -> str:
        return f"{rules.gap} {rules.words(self.opens)}"

    def silent(self, rules: Rules) -> str:
        return self.said(rules, rules.without(self.opens))

    def calls(self, rules: Rules, offer: Offer) -> str:
        head, holes, tail = self._parted()
        first = rules.words(self._behind_opening(head))
        each = rules.rule("call", f"{self._filled(rules, offer, holes)} {rules.words(tail)}")
        others = f"({rules.words(self._joint(head))} {each}){{0,{MOST_CALLS - 1}}}" if offer.parallel else ""
        return f"{first} {each} {others} {rules.words(self.end)} {rules.gap}"

    def _parted(self) -> tuple[str, tuple[str | Hole, ...], str]:
        """`each` as the text before its first hole, the holes with what is between, the text behind the last."""
        places = [place for place, piece in enumerate(self.each) if isinstance(piece, Hole)]
        first, last = places[0], places[-1]
        head, tail = self.each[:first], self.each[last + 1 :]
        return "".join(map(str, head)), self.each[first : last + 1], "".join(map(str, tail))

    def _behind_opening(self, head: str) -> str:
        return (self.begin + head).lstrip().removeprefix(self.opens)

    def _joint(self, head: str) -> str:
        return self.between + head

    def _filled(self, rules: Rules, offer: Offer, holes: Sequence[str | Hole]) -> str:
        return rules.one_of(
            [
                " ".join(
                    rules.words(piece) if isinstance(piece, str) else piece.lark(rules, tool)
                    for piece in holes
                )
                for tool in offer.tools
            ]
        )

    def read(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        closes = None
        if self.wraps is not None and (yield from incoming.opened(self.wraps[0])):
            closes = self.wraps[1]
        bare = self.bare and ledger.bare and ledger.names
        if bare and (yield from ledger.attempt(incoming, self._bare_call(incoming, ledger), held=True)):
            yield from incoming.space()
        ends = [*([self.opens] if ledger.names else ()), *([closes] if closes else ())]
        while (end := (yield from incoming.until(ends, shown, trim=True))) is not None:
            if end == closes:
                yield from incoming.literal(f" {closes} ")
            else:
                yield from self._group(incoming, ledger)

    def _group(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        """The calls that one opening begins, and white space behind them."""
        head, _, _ = self._parted()
        # The opening is read in any case, so that what is no call is not looked at again.
        first = self._call(incoming, ledger, f" {self.opens}", self._behind_opening(head))
        whole = yield from ledger.attempt(incoming, first)
        another = self._joint(head).split()[:1]
        while whole:
            yield from incoming.space()
            if not self.begin:
                return
            if another and (yield from incoming.comes(another[0])):
                whole = yield from ledger.attempt(incoming, self._call(incoming, ledger, self._joint(head)))
            else:
                yield from incoming.closing(self.end)
                yield from incoming.space()
                return

    def _bare_call(self, incoming: Incoming, ledger: Ledger) -> Step[bool]:
        """A call without its tags, perhaps fenced as code."""
        yield from incoming.space()
        fenced = (yield from incoming.comes("```")) and (yield from incoming.literal("```"))
        if fenced:
            yield from incoming.literal("json")
            yield from incoming.space()
        draft = Draft()
        for hole in self.each:
            if isinstance(hole, Object) and (yield from hole.read(incoming, ledger, draft, bare=True)):
                if fenced:
                    yield from incoming.closing("```")
                return True
        return False

    def _call(self, incoming: Incoming, ledger: Ledger, *heads: str) -> Step[bool]:
        for head in heads:
            if not (yield from incoming.literal(head)):
                return False
        draft = Draft()
        _, holes, tail = self._parted()
        for piece in (*holes, tail):
            if isinstance(piece, Hole):
                if not (yield from piece.read(incoming, ledger, draft)):
                    return False
            elif draft.whole:
                yield from incoming.closing(piece)
            elif not (yield from incoming.literal(piece)):
                return False
        return draft.whole

    def write(self, calls: Sequence[ToolCall]) -> str:
        texts = (
            "".join(piece if isinstance(piece, str) else piece.write(call, place) for piece in self.each)
            for place, call in enumerate(calls)
        )
        return f"{self.begin}{self.between.join(texts)}{self.end}"

    def history_values(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        elements = any(isinstance(piece, Elements) for piece in self.each)
        return bare_values(arguments) if elements else arguments

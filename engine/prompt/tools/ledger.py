"""Counts the calls of one answer and gives them ids. What may be a call is tried, and taken back if it is none."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence

from engine.prompt.incoming import Incoming, Step
from engine.prompt.json_object import checked_object
from engine.prompt.parts import AnswerPart, CallPart, Passage
from engine.types import Tool

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def call_id() -> str:
    """An id in the form that most clients know."""
    return "call_" + "".join(secrets.choice(_LETTERS) for _ in range(24))


def nine_id() -> str:
    """Nine letters and digits, on which Mistral's templates insist."""
    return "".join(secrets.choice(_LETTERS) for _ in range(9))


class Ledger:
    """The calls of one answer.

    `tools` may be called. `taken` are the ids of earlier calls, which are not given again. `streams` says that a
    grammar keeps the calls well-formed, so that they can be given out as they come; else each is held until it
    is whole, and is text if it never gets there. `bare` calls have no tags.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        taken: Collection[str] = (),
        streams: bool = False,
        bare: bool = True,
        new_id: Callable[[], str] = call_id,
    ) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.streams = streams
        self.bare = bare
        self.begun = 0
        self.made = 0
        """How many calls are whole."""
        self._new_id = new_id
        self._taken = set(taken)

    @property
    def names(self) -> Collection[str]:
        return self.tools.keys()

    @property
    def open(self) -> bool:
        """Whether a call was begun and never ended: the answer broke off, and its arguments are not whole."""
        return self.begun > self.made

    def begin(self, name: str, id: str | None = None) -> CallPart:
        """The first piece of the next call. An `id` that was taken before gives way to a new one."""
        while not id or id in self._taken:
            id = self._new_id()
        self._taken.add(id)
        self.begun += 1
        return CallPart(index=self.begun - 1, id=id, name=name)

    def more(self, arguments: str) -> CallPart:
        """The next piece of the arguments of the call that was begun last."""
        return CallPart(index=self.begun - 1, arguments=arguments)

    def attempt(self, incoming: Incoming, call: Step[bool], *, held: bool = False) -> Step[bool]:
        """Read one call, and whether it was one. If not, what was read is given out as text.

        With `held` it is held until it is whole, whatever the grammar.
        """
        held = held or not self.streams
        begun = self.begun
        kept: list[AnswerPart] = []
        incoming.record()
        while True:
            try:
                part = next(call)
            except StopIteration as ended:
                whole = bool(ended.value)
                break
            if part is None or not held:
                yield part
                if part is not None:
                    incoming.record()
            else:
                kept.append(part)
        text = incoming.recorded()
        if held and whole:
            kept = _checked(kept)
            whole = bool(kept)
        if whole:
            self.made += 1
            yield from kept
            return True
        if held:
            self.begun = begun
        if text and not (self.begun > begun and incoming.over):
            yield Passage("content", text)
        return False


def _checked(parts: list[AnswerPart]) -> list[AnswerPart]:
    """The pieces of one call as one, or none where its arguments are no JSON object."""
    first = parts[0]
    arguments = checked_object("".join(part.arguments for part in parts if isinstance(part, CallPart)))
    if arguments is None or not isinstance(first, CallPart):
        return []
    return [first, CallPart(index=first.index, arguments=arguments)]

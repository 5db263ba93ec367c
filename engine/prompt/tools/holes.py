"""The places in the form of a call that differ from call to call: its name, its id, its arguments.

Each knows three things of its place: what a grammar allows there for a tool, how it is read from an answer, and
how it is written into a history.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Literal

from engine.prompt.grammar import literal
from engine.prompt.incoming import Incoming, Step
from engine.prompt.json_object import checked_object
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.prompt.tools.schemas import arguments_lark
from engine.types import Tool, ToolCall

LONGEST_NAME = 256
"""Most characters of a name or id that is read before it is clear that there is none."""
NAME = re.compile(r"[\w.:/@$+-]+")
"""Of what a tool's name is made: nothing that any family writes around one."""

_LETTERS = re.compile(r"[a-zA-Z0-9_-]+")
_NUMBER = re.compile(r":\d+$")


class Draft:
    """What is known so far of the call that is being read."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.id: str | None = None
        self.whole = False
        """Whether its arguments are whole: what then follows is only closing tags."""


class Hole(ABC):
    """A place in the form of a call."""

    @abstractmethod
    def lark(self, rules: Rules, tool: Tool) -> str:
        """What may stand here in a call of `tool`, as a Lark fragment."""

    @abstractmethod
    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        """Read it, and whether it was well-formed."""

    @abstractmethod
    def write(self, call: ToolCall, place: int) -> str:
        """The text of `call`, the `place`-th of its answer."""


class Name(Hole):
    """The bare name."""

    def lark(self, rules: Rules, tool: Tool) -> str:
        return literal(tool.name)

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        draft.name = yield from incoming.run(NAME, LONGEST_NAME)
        return draft.name in ledger.names

    def write(self, call: ToolCall, place: int) -> str:
        return call.name


class Identity(Hole):
    """An id that the model makes, of nine letters and digits."""

    def lark(self, rules: Rules, tool: Tool) -> str:
        return "/[a-zA-Z0-9]{9}/"

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        draft.id = yield from incoming.run(_LETTERS, LONGEST_NAME)
        return bool(draft.id)

    def write(self, call: ToolCall, place: int) -> str:
        return call.id


class NameInId(Hole):
    """`functions.name:0`: an id that holds the name, and a number that counts calls."""

    def lark(self, rules: Rules, tool: Tool) -> str:
        return f"{literal(f'functions.{tool.name}:')} /[0-9]{{1,4}}/"

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        draft.id = yield from incoming.run(NAME, LONGEST_NAME)
        name = draft.id.removeprefix("functions.")
        draft.name = name if name in ledger.names else _NUMBER.sub("", name)
        return draft.name in ledger.names

    def write(self, call: ToolCall, place: int) -> str:
        return call.id if call.id.startswith(f"functions.{call.name}:") else f"functions.{call.name}:{place}"


class Arguments(Hole):
    """The arguments as a JSON object."""

    def lark(self, rules: Rules, tool: Tool) -> str:
        return arguments_lark(tool)

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft) -> Step[bool]:
        if draft.name is None:
            return False
        return (yield from arguments(incoming, ledger, draft, draft.name))

    def write(self, call: ToolCall, place: int) -> str:
        return call.arguments.strip() or "{}"


_COMMON_KEYS = ("id", "type")
"""What models write into the object of a call beside name and arguments."""

Role = Literal["name", "arguments", "id", "number"]


class Object(Hole):
    """A JSON object of name, arguments and perhaps an id, in the order in which the model writes them.

    `fields` are their roles and keys. What is read may have them in any order, and others beside them.
    """

    def __init__(self, *fields: tuple[Role, str]) -> None:
        self.fields = fields
        self.names = {key for role, key in fields if role == "name"} | {"name"}
        self.values = {key for role, key in fields if role == "arguments"} | {"arguments", "parameters"}
        self.ids = {key for role, key in fields if role == "id"}
        self.numbers = {key for role, key in fields if role == "number"}

    def opening(self, rules: Rules) -> str:
        """The object up to its name."""
        body = rules.json_words("{")
        for role, key in self.fields:
            body += f" {rules.json_words(json.dumps(key), ':')}"
            if role == "name":
                break
            body += f' /"[0-9]{{1,4}}"/ {rules.json_words(",")}'
        return rules.rule("OPENING", body)

    def lark(self, rules: Rules, tool: Tool) -> str:
        return f"{self.opening(rules)} {self.rest(rules, tool)}"

    def rest(self, rules: Rules, tool: Tool) -> str:
        """The object from its name on."""
        fields = list(self.fields)
        roles = [role for role, _ in fields]
        after = fields[roles.index("arguments") + 1 :]
        name = rules.json_words(
            json.dumps(tool.name, ensure_ascii=False),
            ",",
            json.dumps(fields[roles.index("arguments")][1]),
            ":",
        )
        space = rules.shared("W")
        closing = space
        for _, key in after:
            closing += f' {rules.json_words(",", json.dumps(key), ":")} /"[a-zA-Z0-9]{{9}}"/ {space}'
        closing += f" {literal('}')}"
        return f"{rules.rule('NAME', name)} {arguments_lark(tool)} {rules.rule('CLOSING', closing)}"

    def read(self, incoming: Incoming, ledger: Ledger, draft: Draft, *, bare: bool = False) -> Step[bool]:
        """Arguments are given out as they come if the object is of the family's form so far; else they wait.

        A `bare` object may be any answer in JSON: at its first key that no call has it is none.
        """
        if not (yield from incoming.literal("{ ")):
            return False
        held: str | None = None
        streams = more = True
        while more:
            key = yield from incoming.json_string()
            if key is None or not (yield from incoming.literal(" : ")):
                return draft.whole
            if key in self.names and draft.name is None:
                draft.name = yield from incoming.json_string()
                if draft.name not in ledger.names:
                    return False
            elif key in self.values and held is None and not draft.whole:
                if draft.name is not None and streams:
                    if not (yield from arguments(incoming, ledger, draft, draft.name)):
                        return False
                elif (held := (yield from object_text(incoming))) is None:
                    return False
            elif key in self.ids:
                draft.id = yield from incoming.json_string()
            elif (bare and key not in _COMMON_KEYS) or (yield from incoming.json_text()) is None:
                return draft.whole
            elif key not in self.numbers:
                streams = False
            more = yield from incoming.literal(" , ")
        if draft.name is not None and held is not None:
            yield ledger.begin(draft.name, draft.id)
            yield ledger.more(held)
            draft.whole = True
        if draft.whole:
            yield from incoming.closing("}")
        return draft.whole

    def write(self, call: ToolCall, place: int) -> str:
        values = {"name": json.dumps(call.name, ensure_ascii=False), "id": json.dumps(call.id)}
        values |= {"number": f'"{place}"', "arguments": call.arguments.strip() or "{}"}
        return "{" + ", ".join(f"{json.dumps(key)}: {values[role]}" for role, key in self.fields) + "}"


def arguments(incoming: Incoming, ledger: Ledger, draft: Draft, name: str) -> Step[bool]:
    """Give out a call's name and its arguments: an object as it comes, else what `object_text` takes for one."""
    yield from incoming.space()
    if (yield from incoming.comes("{")):
        yield ledger.begin(name, draft.id)
        draft.whole = yield from incoming.json_value(ledger.more)
        return draft.whole
    text = yield from object_text(incoming)
    if text is None:
        return False
    yield ledger.begin(name, draft.id)
    yield ledger.more(text)
    draft.whole = True
    return True


def object_text(incoming: Incoming) -> Step[str | None]:
    """An object, the text of one in a JSON string, or null for none, held until it is whole; None for all else."""
    yield from incoming.space()
    if (yield from incoming.comes('"')):
        text = yield from incoming.json_string()
    else:
        text = yield from incoming.json_text()
    return "{}" if text == "null" else checked_object(text or "")

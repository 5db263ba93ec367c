"""Llama 3.1 to 3.3: the whole answer is the object of one call, perhaps behind a token of its own.

    {"name": "look", "parameters": {"city": "Rome"}}
    <|python_tag|>{"name": "look", "parameters": {"city": "Rome"}}
    <|python_tag|>brave_search.call(query="Rome")        a built-in tool: `builtin_tools` of the template names them
    <|python_tag|>print(1 + 1)                           code for the tool `ipython`, if it is offered

(meta-llama/llama-models, prompt formats of 3.1 and 3.3.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from engine.prompt.grammar import literal
from engine.prompt.incoming import Incoming, Step
from engine.prompt.tools.base import Offer, ToolFormat, shown
from engine.prompt.tools.holes import Draft, Object
from engine.prompt.tools.ledger import Ledger
from engine.prompt.tools.rules import Rules
from engine.prompt.tools.schemas import arguments_of, properties_of, required_of
from engine.types import Tool, ToolCall

_TAG = "<|python_tag|>"
_CALL = Object(("name", "name"), ("arguments", "parameters"))
_INTERPRETERS = ("ipython", "python", "code_interpreter")
_CODE = r"/[^{\s](?s:.*)/"
_BUILTIN = re.compile(r"\s*(\w+)\.call\((.*)\)\s*", re.DOTALL)
# Tried at the beginning of words only: at every letter and blank, a long text would take seconds.
_PAIR = re.compile(r'(?<!\w)(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.DOTALL)


class Llama3(ToolFormat):
    name = "llama3"
    marks = (_TAG,)

    def recognises(self, source: str) -> bool:
        return _TAG in source or '"parameters": dictionary of argument name' in source

    def said(self, rules: Rules, content: str | None = None) -> str:
        return content or rules.anything

    def lead(self, rules: Rules, offer: Offer) -> str:
        return ""

    def opening(self, rules: Rules, offer: Offer) -> str:
        return ""

    def silent(self, rules: Rules) -> str:
        # A bare object is an answer like any other: without tools nobody takes it for a call.
        return rules.anything

    def calls(self, rules: Rules, offer: Offer) -> str:
        named = rules.rule("call", rules.one_of([_CALL.rest(rules, tool) for tool in offer.tools]))
        forms = [f"{rules.mark(_TAG)} {rules.gap} {_CALL.opening(rules)} {named}"]
        if offer.bare:
            # Lazy, so that an answer that begins as a call can be nothing else.
            space = r"[ \t\r\n]{0,32}"
            bare = rules.rule("bare", f'/{space}\\{{{space}"name"{space}:/', "lazy")
            forms.append(f"{bare} {rules.gap} {named}")
        for tool in offer.tools:
            if tool.name in offer.builtin:
                forms.append(f"{rules.mark(_TAG)} {_builtin(tool)}")
            elif code_parameter(tool) is not None:
                forms.append(f"{rules.mark(_TAG)} {rules.rule('CODE', _CODE)}")
        return f"{rules.gap} {rules.one_of(forms)} {rules.gap}"

    def read(self, incoming: Incoming, ledger: Ledger) -> Step[None]:
        more = ledger.bare and bool(ledger.names)
        while more and (more := (yield from ledger.attempt(incoming, _bare(incoming, ledger)))):
            yield from incoming.literal(" ; ")
        ends = [_TAG] if ledger.names else []
        while (yield from incoming.until(ends, shown, trim=True)) is not None:
            if (yield from ledger.attempt(incoming, _tagged(incoming, ledger))):
                yield from incoming.space()

    def write(self, calls: Sequence[ToolCall]) -> str:
        return "; ".join(_CALL.write(call, place) for place, call in enumerate(calls))


def code_parameter(tool: Tool) -> str | None:
    """The one parameter of a tool that runs Python code."""
    properties = properties_of(arguments_of(tool))
    return next(iter(properties)) if tool.name in _INTERPRETERS and len(properties) == 1 else None


def _builtin(tool: Tool) -> str:
    """The call of a built-in tool: its required arguments as quoted text, in their order."""
    names = required_of(arguments_of(tool)) or list(properties_of(arguments_of(tool)))
    pairs = f" {literal(', ')} ".join(
        f'{literal(f"{name}=")} /"([^"\\\\\\n]|\\\\[^\\n])*"/' for name in names
    )
    return f"{literal(f'{tool.name}.call(')} {pairs} {literal(')')}"


def _bare(incoming: Incoming, ledger: Ledger) -> Step[bool]:
    """A call without the tag."""
    yield from incoming.space()
    return (yield from _CALL.read(incoming, ledger, Draft(), bare=True))


def _tagged(incoming: Incoming, ledger: Ledger) -> Step[bool]:
    """A call behind the tag: an object, a built-in tool, or code."""
    if not (yield from incoming.literal(f" {_TAG} ")):
        return False
    if (yield from incoming.comes("{")):
        return (yield from _CALL.read(incoming, ledger, Draft()))
    text, _ = yield from incoming.held_until([])
    made = _meant(text, ledger)
    if made is None:
        return False
    name, arguments = made
    yield ledger.begin(name)
    yield ledger.more(json.dumps(arguments, ensure_ascii=False))
    return True


def _meant(text: str, ledger: Ledger) -> tuple[str, dict[str, str]] | None:
    """The tool and arguments of a call in Python's manner."""
    found = _BUILTIN.fullmatch(text)
    if found is not None and found[1] in ledger.names:
        pairs = _PAIR.findall(found[2])
        return found[1], {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs}
    for tool in ledger.tools.values():
        parameter = code_parameter(tool)
        if parameter is not None and text.strip():
            return tool.name, {parameter: text}
    return None

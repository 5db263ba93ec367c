"""The form of one answer: what the model may write, by grammar, and how what it writes is read.

An answer is reasoning, then content or tool calls. What the request asks of each is put together here: the
reasoning's budget, the constraint on the content, which tools may or must be called. Where nothing is asked there
is no grammar, and a plain chat costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.prompt.effort import ThinkingPlan, plan
from engine.prompt.grammar import assemble, grammar_of, part_of
from engine.prompt.reader import AnswerReader, PlainReader, Reader
from engine.prompt.template import Template
from engine.prompt.tools import Ledger, Offer, ToolFormat
from engine.prompt.tools.harmony import FINAL, MESSAGE, START
from engine.prompt.tools.holes import LONGEST_NAME, NAME
from engine.prompt.tools.rules import Rules
from engine.types import GenerationRequest, Tool

_CONTENT = "content"


class MakeReader(Protocol):
    """Makes a fresh reader. Where the grammar is not `enforced`, calls are held until they prove to be some."""

    def __call__(self, *, enforced: bool = True) -> Reader: ...


class AnswerForm(Struct, frozen=True, kw_only=True):
    """How an answer is made and read."""

    grammar: str | None
    """As llguidance takes it; None where nothing needs to be enforced."""
    counts: bool
    """Whether the grammar counts tokens: then the library can take none back (`rollback`), as guessing ahead would."""
    reader: MakeReader
    """Makes a fresh reader for each choice."""
    marks: tuple[str, ...]
    """Texts of special tokens that the reader must see written out."""
    prefill: str
    """Text to add to the prompt; the answer begins behind it."""
    stops: tuple[str, ...]
    """Stop strings that belong to the form, beside the request's own."""


def answer_form(
    template: Template,
    prompt: str,
    request: GenerationRequest,
    token_of: Callable[[str], int | None],
) -> AnswerForm:
    """The form of an answer to `prompt`, which `template` made of `request`.

    `token_of` gives the one special token that is exactly a text, if there is one. Raises Unsupported or
    InvalidRequest, naming the field, for what cannot be honoured.
    """
    family = template.family
    offer = _offer(template, request)
    thinking = plan(template, prompt, request.thinking, continued=request.continue_last)
    heads = _heads(family, prompt, request)
    if family.channels and thinking.off and not offer.tools and not request.continue_last:
        heads = FINAL
        thinking = ThinkingPlan(off=True, prefill=FINAL)
    marks = _marks(family, offer, thinking)
    taken = [call.id for message in request.messages or () for call in message.tool_calls]

    def reader(*, enforced: bool = True) -> Reader:
        if not marks and not offer.tools and not family.addressed:
            return PlainReader()
        # Where content of a given form could look like a call none is given out before it is whole.
        streams = enforced and offer.bare
        ledger = Ledger(offer.tools, taken=taken, streams=streams, bare=offer.bare, new_id=family.new_id)
        return AnswerReader(family, ledger, thinking, heads)

    return AnswerForm(
        counts=_limited(family, thinking),
        grammar=_grammar(family, offer, thinking, request, Rules(token_of, marks), headed=bool(heads)),
        reader=reader,
        marks=marks,
        prefill=thinking.prefill,
        stops=template.stops,
    )


def _offer(template: Template, request: GenerationRequest) -> Offer:
    """The tools that the answer may call."""
    choice = request.tool_choice
    _check_tools(request.tools)
    unknown = sorted(set(choice.names) - {tool.name for tool in request.tools})
    if unknown:
        raise InvalidRequest(
            f"The tool {unknown[0]!r} is to be called, and is not offered.",
            "It is named in `tool_choice` and not among `tools`.",
            "Offer it, or leave its name out.",
            param="tool_choice",
        )
    if choice.mode in ("required", "named") and not request.tools:
        raise InvalidRequest(
            "A tool is to be called, and there is none.",
            fix="Send `tools` too, or leave `tool_choice` out.",
            param="tool_choice",
        )
    if choice.mode == "none":
        return Offer()
    tools = tuple(tool for tool in request.tools if not choice.names or tool.name in choice.names)
    one = choice.mode == "named" and len(tools) == 1
    builtin = request.template_args.get("builtin_tools")
    return Offer(
        tools=tools,
        bare=request.constraint is None or choice.mode in ("required", "named"),
        parallel=choice.parallel and not one and template.traits.several,
        builtin=frozenset(map(str, builtin)) if isinstance(builtin, list | tuple) else frozenset(),
    )


def _check_tools(tools: tuple[Tool, ...]) -> None:
    """Names that a grammar can hold apart, and that no family's marks can be mistaken for."""
    seen: set[str] = set()
    for tool in tools:
        if len(tool.name) > LONGEST_NAME or NAME.fullmatch(tool.name) is None:
            raise InvalidRequest(
                f"{tool.name!r} cannot be the name of a tool.",
                f"A name has letters, digits and any of _ . : / @ $ + -, {LONGEST_NAME} at most.",
                "Give the tool another name.",
                param="tools",
            )
        if tool.name in seen:
            raise InvalidRequest(
                f"Two tools are called {tool.name!r}.", "A call could not say which it means.", param="tools"
            )
        seen.add(tool.name)


def _heads(family: ToolFormat, prompt: str, request: GenerationRequest) -> str:
    """The head that the prompt has written already of a message that is gone on with."""
    if not family.channels or not request.continue_last:
        return ""
    begun = prompt.rpartition(START)[2]
    head, message, _ = begun.rpartition(MESSAGE)
    return head.removeprefix("assistant") + message


def _marks(family: ToolFormat, offer: Offer, thinking: ThinkingPlan) -> tuple[str, ...]:
    """The texts that the reader of such an answer looks for."""
    marks = list(family.marks) if offer.tools or family.channels else list(family.wraps or ())
    return tuple(dict.fromkeys([*marks, *(family.wraps or ()), *(thinking.tags or ())]))


def _grammar(
    family: ToolFormat,
    offer: Offer,
    thinking: ThinkingPlan,
    request: GenerationRequest,
    rules: Rules,
    *,
    headed: bool,
) -> str | None:
    forbidden = bool(request.tools) and not offer.tools
    limited = _limited(family, thinking)
    if not (offer.tools or forbidden or request.constraint or limited):
        return None
    if request.constraint is not None and not (offer.tools or limited or thinking.tags or _framed(family)):
        return grammar_of(request.constraint)
    part = part_of(request.constraint, _CONTENT) if request.constraint is not None else None
    content = f"@{_CONTENT}" if part is not None else None
    if headed or (request.continue_last and family.addressed):
        body = content or rules.anything
    else:
        body = f"{_thought(family, thinking, rules)} ({_body(family, offer, request, rules, content)})"
    return assemble(rules.text(body), [part] if part is not None else [])


def _limited(family: ToolFormat, thinking: ThinkingPlan) -> bool:
    """Whether there may be reasoning, and only so much."""
    return thinking.budget is not None and not thinking.off and (thinking.tags is not None or family.channels)


def _framed(family: ToolFormat) -> bool:
    """Whether even plain content has something around it."""
    return family.channels or family.addressed or family.wraps is not None


def _thought(family: ToolFormat, thinking: ThinkingPlan, rules: Rules) -> str:
    """The reasoning that comes first: none, some, or some if the model will."""
    if family.channels:
        return "" if thinking.off else family.thought(rules, thinking.budget)
    if thinking.off or thinking.tags is None or not (thinking.inside or thinking.by_itself):
        return ""
    opened, closed = thinking.tags
    rest = f"{rules.thinking(closed, thinking.budget, first=thinking.inside)} {rules.gap}"
    if thinking.inside:
        return rest
    token = rules.token(opened)
    head = (
        rules.rule("opened", rules.spaced(opened), "lazy")
        if token is None
        else f"{rules.gap} {rules.mark(opened)}"
    )
    return f"({head} {rest})?"


def _body(
    family: ToolFormat, offer: Offer, request: GenerationRequest, rules: Rules, content: str | None
) -> str:
    """What follows the reasoning."""
    if not offer.tools:
        return family.silent(rules) if content is None and request.tools else family.said(rules, content)
    opening = f"{family.opening(rules, offer)} {family.calls(rules, offer)}"
    if request.tool_choice.mode in ("required", "named"):
        return opening
    if content is not None:
        return f"{family.said(rules, content)} | {opening}"
    return f"{family.said(rules)} | {family.lead(rules, offer)} {family.calls(rules, offer)}"

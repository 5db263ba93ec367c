"""The Jinja that a model's template runs in: what chat templates expect, and no way out.

Templates come with model files, so they are foreign code. The sandbox keeps them from Python's internals; budgets
on loops, powers and repeated text keep a render from running for ever. The dialect is that of `transformers`:
trimmed blocks, `break` and `continue`, `raise_exception`, `strftime_now`, a `tojson` that escapes no HTML, and
`{% generation %}` blocks, which only mark their content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

ROUNDS = 2_000_000
"""Most rounds of all loops of one render: a hundred loops over twenty thousand messages."""
REPEATED = 1_000_000
"""Longest text or list that `*` may make."""

_rounds_left: ContextVar[list[int]] = ContextVar("rounds_left")


class TooMuch(TemplateError):
    """The template works or writes more than any chat template has reason to."""


def new_budget() -> None:
    """Start a render of this thread or task with a full budget of loop rounds."""
    _rounds_left.set([ROUNDS])


class Generation(Extension):
    """`{% generation %} … {% endgeneration %}`: the content stands, the marks mean nothing here."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainNamespace(Namespace):
    """`namespace()` without underscored attributes, which would reach into Jinja's own."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        for name in dict(*args[1:], **kwargs):
            _refuse_underscore(name)
        Namespace.__init__(*args, **kwargs)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_underscore(name)
        Namespace.__setitem__(self, name, value)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment; one is enough for all templates."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
        self.filters["tojson"] = _tojson
        self.filters["_counted"] = _counted
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now
        self.globals["namespace"] = PlainNamespace
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name, None)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _check_repeat(left, right)
        elif operator == "**" and (abs(left) > 2**32 or abs(right) > 64):
            raise TooMuch("A power is too large.")
        elif operator == "%" and isinstance(left, str | bytes):
            raise SecurityError("Text formatting with % is not open to templates.")
        return super().call_binop(context, operator, left, right)


def _check_repeat(left: Any, right: Any) -> None:
    for text, times in ((left, right), (right, left)):
        if (
            isinstance(text, str | bytes | list | tuple)
            and isinstance(times, int)
            and len(text) * times > REPEATED
        ):
            raise TooMuch("A text or list is repeated too often.")


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    left = _rounds_left.get()
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            raise TooMuch("The loops of the template have too many rounds.")
        yield item


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse_underscore(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"A template may not set {name!r} on a namespace.")

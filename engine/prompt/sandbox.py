"""The Jinja that a model's template runs in: what chat templates expect, and no way out.

Templates come with model files, so they are foreign code. The sandbox keeps them from Python's internals;
budgets on loops, powers and the length of text keep a render from running for ever. (They do not stop
every bomb: a render also has its worker process around it.) The dialect is that of `transformers`: trimmed
blocks, `break` and `continue`, `raise_exception`, `strftime_now`, a `tojson` that escapes no HTML, and
`{% generation %}` blocks, which only mark their content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from datetime import datetime
from typing import Any, ClassVar

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import do_indent
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

ROUNDS = 2_000_000
"""Most rounds of all loops of one render: a hundred loops over twenty thousand messages."""
LONGEST = 16_000_000
"""Longest text or list that one operation of a template may make."""
WIDEST = 100_000
"""Largest width, count or precision that a template may hand to a text method or filter."""

_rounds_left: ContextVar[list[int]] = ContextVar("rounds_left")


class TooMuch(TemplateError):
    """The template works or writes more than any chat template has reason to."""


def new_budget() -> None:
    """Start a render of this thread or task with a full budget of loop rounds."""
    _rounds_left.set([ROUNDS])


class Generation(Extension):
    """`{% generation %} … {% endgeneration %}`: the content stands, the marks mean nothing here."""

    tags: ClassVar[set[str]] = {"generation"}  # type: ignore[misc]

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes between the marks."""
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

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
        for name in ("center", "format", "indent", "wordwrap"):
            self.filters.pop(name)
        self.filters |= {"tojson": _tojson, "indent": _indent, "_counted": _counted, "_bounded": _bounded}
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name)
        self.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
            "namespace": PlainNamespace,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _through("_counted", loop.iter)
        for joined in tree.find_all(nodes.Concat):
            joined.nodes = [_through("_bounded", node) for node in joined.nodes]
        return tree

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`left operator right`, unless the result would be absurdly large."""
        if operator == "*":
            _check_repeat(left, right)
        elif operator == "**" and (abs(left) > 2**32 or abs(right) > 64):
            raise TooMuch("A power is too large.")
        elif operator == "%" and isinstance(left, str):
            _check_widths(left)
        elif operator == "+" and isinstance(left, str | list | tuple):
            _bounded(left)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """The call, unless it asks a text method for an absurdly long result."""
        text = getattr(__obj, "__self__", None)
        if isinstance(text, str):
            if any(isinstance(value, int) and value > WIDEST for value in (*args, *kwargs.values())):
                raise TooMuch("A width or count is too large.")
            if __obj.__name__ == "replace" and len(args) > 1:
                _check_repeat(args[1], text.count(args[0]))
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Any:
        """`str.format` kept inside the sandbox and to modest widths."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _check_widths(value.__self__)
        return wrapped


def _through(filter_name: str, node: Any) -> nodes.Filter:
    return nodes.Filter(node, filter_name, [], [], None, None, lineno=node.lineno)


def _check_repeat(left: Any, right: Any) -> None:
    for text, times in ((left, right), (right, left)):
        if isinstance(text, str | list | tuple) and isinstance(times, int) and len(text) * times > LONGEST:
            raise TooMuch("A text or list is repeated too often.")


def _check_widths(form: str) -> None:
    if any(int(number) > WIDEST for number in re.findall(r"\d+", form)):
        raise TooMuch("A width in a format is too large.")


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > LONGEST:
        raise TooMuch("A text or list has grown too long.")
    return value


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    left = _rounds_left.get()
    for item in items:
        left[0] -= 1
        if left[0] < 0:
            raise TooMuch("The loops of the template have too many rounds.")
        yield item


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    return do_indent(text, width if isinstance(width, str) else min(width, 80), first, blank)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        # `tools | map(…) | tojson` is written for engines whose filters give lists.
        list(value) if isinstance(value, Iterator) else value,
        ensure_ascii=ensure_ascii,
        indent=indent if indent is None else min(indent, 80),
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _refuse_underscore(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"A template may not set {name!r} on a namespace.")

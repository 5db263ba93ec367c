"""Puts one setting into the text of a TOML file, or takes one out, and leaves every other byte as it is.

Comments, order, blank lines, line ends and the way in which tables are written stay. What an edit gives is read again
by `tomllib` and must say what was meant, or it is refused: this scanner knows only as much of TOML as it needs to
find where statements begin and end.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

Key = tuple[str, ...]


class _Statement(Struct, frozen=True, kw_only=True):
    """A line of the file that says something, which may go over several: offsets into the text."""

    table: Key
    """The table that it stands in."""
    path: Key
    """The whole key that it sets, or the table that it opens."""
    start: int
    end: int
    """Behind its line break."""
    value: tuple[int, int] | None = None
    """Where its value stands; None for the head of a table."""
    many: bool = False
    """Whether it opens an element of an array of tables."""


def put(text: str, key: str | Key, value: Any) -> str:
    """`text` with `key` (dotted, or its parts) set to `value`: text, number, switch, list or table.

    Raises ValueError where that cannot be done without changing anything else.
    """
    path = tuple(key.split(".")) if isinstance(key, str) else key
    meant = _with(tomllib.loads(text), path, value)
    if any(len(each.path) > len(path) and each.path[: len(path)] == path for each in _statements(text)):
        text = remove(text, key)
    return _verified(_put(text, path, value), meant)


def remove(text: str, key: str | Key) -> str:
    """`text` without `key`, and without the comment behind it on its line. Raises ValueError as `put`."""
    path = tuple(key.split(".")) if isinstance(key, str) else key
    meant = _with(tomllib.loads(text), path, None)
    for each in reversed(list(_statements(text))):
        if each.path[: len(path)] == path and not (each.value is None and each.path == path[:-1]):
            text = text[: each.start] + text[each.end :]
        elif each.value is not None and path[: len(each.path)] == each.path:
            text = _inline(text, each, path, None)
    return _verified(text, meant)


def literal(value: Any) -> str:
    """`value` as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_bare(str(name))} = {literal(inner)}" for name, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _put(text: str, path: Key, value: Any) -> str:
    statements = list(_statements(text))
    for each in statements:
        if each.value is not None and each.path == path:
            return text[: each.value[0]] + literal(value) + text[each.value[1] :]
        if each.value is not None and path[: len(each.path)] == each.path:
            return _inline(text, each, path, value)
    table, newline = path[:-1], "\r\n" if "\r\n" in text else "\n"
    inside = [each for each in statements if each.table == table and (each.value or each.path == table)]
    beside = [each for each in statements if each.value and each.path[: len(table)] == table]
    if home := [each for each in inside if not each.many] or beside:
        last = home[-1]
        said = ".".join(map(_bare, path[len(last.table) :]))
        indent = re.match(r"[ \t]*", text[last.start :])
        margin = indent[0] if indent and last.value else ""
        gap = "" if text[: last.end].endswith("\n") else newline
        return f"{text[: last.end]}{gap}{margin}{said} = {literal(value)}{newline}{text[last.end :]}"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return f"{text}{gap}[{'.'.join(map(_bare, table))}]{newline}{_bare(path[-1])} = {literal(value)}{newline}"


def _inline(text: str, statement: _Statement, path: Key, value: Any) -> str:
    """`text` with the inline table of `statement`, which holds `path`, written anew."""
    assert statement.value is not None
    start, end = statement.value
    held = tomllib.loads(f"x = {text[start:end]}")["x"]
    if not isinstance(held, dict):
        return text
    return text[:start] + literal(_with(held, path[len(statement.path) :], value)) + text[end:]


def _with(data: Mapping[str, Any], path: Key, value: Any) -> dict[str, Any]:
    """A copy of `data` with `value` at `path`, or without anything there if it is None."""
    first, rest = path[0], path[1:]
    found = dict(data)
    if rest:
        inner = found.get(first, {})
        if value is None and not isinstance(inner, Mapping):
            return found
        found[first] = _with(inner if isinstance(inner, Mapping) else {}, rest, value)
    elif value is None:
        found.pop(first, None)
    else:
        found[first] = value
    return found


def _verified(text: str, meant: Mapping[str, Any]) -> str:
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"The file would no longer be TOML: {error}.") from None
    if _full(said) != _full(meant):
        raise ValueError("Something else in the file would change with it.")
    return text


def _full(value: Any) -> Any:
    """`value` to compare by: without empty tables, and with lists for whatever is a sequence."""
    if isinstance(value, Mapping):
        inner = {str(name): _full(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each != {}}
    if isinstance(value, list | tuple):
        return [_full(each) for each in value]
    return (type(value).__name__, value)


_PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_SPACE = re.compile(r"[ \t]*")
_REST = re.compile(r"[^\n]*(?:\n|$)")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'  # a text over several lines may end in up to two quotes of its own
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[{]|[\]}]|,|\n"
    r"|[^\"'#\[\]{},\n]+",
    re.DOTALL,
)


def _statements(text: str) -> Iterator[_Statement]:
    """What `text`, which is valid TOML, says, in its order."""
    table: Key = ()
    at = 0
    while at < len(text):
        start = at
        begin = _end(_SPACE, text, at)
        if text[begin : begin + 1] == "[":
            many = text[begin : begin + 2] == "[["
            name = _KEY.match(text, _end(_SPACE, text, begin + 1 + many))
            at = _end(_REST, text, begin)
            if name is not None:
                table = _path(name[0])
                yield _Statement(table=table, path=table, start=start, end=at, many=many)
        elif (name := _KEY.match(text, begin)) and (
            text[(equals := _end(_SPACE, text, name.end())) :][:1] == "="
        ):
            value = _end(_SPACE, text, equals + 1)
            behind = _value_end(text, value)
            at = _end(_REST, text, behind)
            yield _Statement(
                table=table, path=table + _path(name[0]), start=start, end=at, value=(value, behind)
            )
        else:
            at = _end(_REST, text, begin)


def _value_end(text: str, at: int) -> int:
    depth, end = 0, at
    while token := _TOKEN.match(text, at):
        said = token[0]
        if not depth and (said == "\n" or said[0] == "#"):
            break
        at = token.end()
        if said.strip() and said[0] != "#":
            end = at - (len(said) - len(said.rstrip()))
        depth += said in ("[", "{")
        depth -= said in ("]", "}")
    return end


def _path(key: str) -> Key:
    inner: Any = tomllib.loads(f"{key} = 0")
    parts: list[str] = []
    while isinstance(inner, dict):
        [(name, inner)] = inner.items()
        parts.append(name)
    return tuple(parts)


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else literal(name)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at

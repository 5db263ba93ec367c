"""References inside one JSON Schema: what a `$ref` names, and that none leads back to itself at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from engine.prompt.grammar import keywords
from engine.prompt.grammar.limits import invalid, unsupported

Schema = Mapping[str, Any] | bool


class References:
    """The document `root`, with the definitions of it that were referred to so far."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self.names: dict[str, str] = {}
        """For the JSON pointer of each schema that was referred to, its name in the schema as it will be written."""

    def target(self, reference: Any) -> Any:
        """The schema of this document that `reference`, a `$ref`, names."""
        return self._resolved(reference, "`$ref`")[1]

    def at(self, pointer: str) -> Any:
        """The schema at `pointer`, which a `$ref` has named."""
        return self.target(f"#{quote(pointer)}")

    def renamed(self, reference: Any, place: str) -> str:
        """`reference` for the schema as it will be written; `place` begins the error if it names nothing."""
        pointer, _ = self._resolved(reference, place)
        if not pointer:
            return "#"
        return f"#/$defs/{self.names.setdefault(pointer, f'd{len(self.names)}')}"

    def check_loops(self) -> None:
        """Refuses a schema that refers to itself without going into its value: it would say nothing, for ever."""
        done: set[str] = set()
        for start in ("", *self.names):
            path = {start: self._next(start)}
            while path:
                here, following = next(reversed(path.items()))
                pointer = next(following, None)
                if pointer is None:
                    done.add(here)
                    del path[here]
                elif pointer in path:
                    raise invalid(
                        f"The schema at {pointer or 'the top'} refers to itself.",
                        "It would have to be read for ever.",
                        "Let it refer to itself below `properties` or `items` only.",
                    )
                elif pointer not in done:
                    path[pointer] = self._next(pointer)

    def _next(self, pointer: str) -> Iterator[str]:
        """Pointers to the schemas that the one at `pointer` applies to its own value."""
        for reference in _in_place(self.at(pointer)):
            yield self._resolved(reference, "`$ref`")[0]

    def _resolved(self, reference: Any, place: str) -> tuple[str, Schema]:
        """The JSON pointer of the schema that `reference` names, and the schema."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise unsupported(
                f"{place} does not point into the schema itself: {reference!r:.80}.",
                "Nothing is fetched, and places have no names but their pointers.",
                "Put what it names under `$defs` and write `#/$defs/name`.",
            )
        pointer = unquote(reference[1:])
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        here: Any = self._root
        while steps:
            here = _within(here, steps)
            if here is None:
                raise invalid(f"{place} names no schema: {reference:.80}.", "There is none at that place.")
        return pointer, here


def _within(here: Any, steps: list[str]) -> Any:
    """The schema that the first one or two of `steps` lead to from the schema `here`; takes them off."""
    word = steps.pop(0)
    inner = here.get(word) if isinstance(here, Mapping) else None
    if word in keywords.SINGLE:
        return inner if isinstance(inner, Mapping | bool) else None
    if not steps:
        return None
    step = steps.pop(0)
    if word in keywords.MAPS and isinstance(inner, Mapping):
        return inner.get(step)
    if word in keywords.LISTS and isinstance(inner, Sequence) and step.isdecimal() and len(step) < 5:
        return inner[int(step)] if int(step) < len(inner) else None
    return None


def _in_place(schema: Any) -> Iterator[str]:
    """The references of `schema` that are about its own value."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    for word in keywords.IN_PLACE:
        for each in schema.get(word, ()):
            yield from _in_place(each)

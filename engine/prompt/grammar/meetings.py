"""How many patterns of a schema must hold for one value at once.

The library builds the automaton that all of them share before it knows whether anything is left of them: three times
the memory for each pattern more, gigabytes from fourteen on. So they are counted here, not below what they come to:
the schemas of an `allOf` may meet in every property that they have in common, a `$ref` meets what stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from engine.prompt.grammar.limits import DEEPEST_SCHEMA, MOST_COMPARED, MOST_MEETING, invalid
from engine.prompt.grammar.references import References

_FORMAT: Final = 300
"""Characters that a format's pattern counts for."""


class Meeting(Struct, frozen=True):
    """What may have to hold for one value: patterns, their characters together, and listed values."""

    patterns: int = 0
    characters: int = 0
    values: int = 0

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Meeting:
        """What the words of `schema` itself ask of its value."""
        return cls(
            ("pattern" in schema) + ("format" in schema),
            len(schema.get("pattern", "")) + _FORMAT * ("format" in schema),
            len(schema.get("enum", ())) + ("const" in schema),
        )

    def with_(self, other: Meeting) -> Meeting:
        """Both at once."""
        return Meeting(
            self.patterns + other.patterns, self.characters + other.characters, self.values + other.values
        )

    def check(self) -> None:
        """Raises InvalidRequest if it is more than can be built."""
        if self.patterns > MOST_MEETING:
            raise invalid(
                f"The schema asks for up to {self.patterns} patterns and formats of one text at once.",
                f"At most {MOST_MEETING} can be held together.",
                "Merge them into one `pattern`.",
            )
        if self.values * self.characters > MOST_COMPARED:
            raise invalid(
                f"The schema asks for a pattern of up to {self.values:,} listed values.",
                "Each has to be compared with it.",
                "Leave the pattern out: the list says what is allowed.",
            )


def check_meetings(root: Any, references: References, total: Meeting) -> None:
    """Raises InvalidRequest if too much meets anywhere in `root`, a checked schema that holds `total` altogether."""
    if total.patterns > MOST_MEETING or total.values * total.characters > MOST_COMPARED:
        counter = _Counter(references)
        for below in range(DEEPEST_SCHEMA):
            counter.meeting(root, below).check()


class _Counter:
    """Counts the same schema at the same depth once."""

    def __init__(self, references: References) -> None:
        self._references = references
        self._known: dict[tuple[int, int], Meeting] = {}

    def meeting(self, schema: Any, below: int) -> Meeting:
        """The most that may meet on a value `below` levels inside the one that `schema` is for."""
        if not isinstance(schema, Mapping):
            return Meeting()
        key = id(schema), below
        if key not in self._known:
            found = self._inside(schema, below - 1) if below else Meeting.of(schema)
            for each in schema.get("allOf", ()):
                found = found.with_(self.meeting(each, below))
            for word in ("anyOf", "oneOf"):
                found = found.with_(self._most(schema.get(word, ()), below))
            if "$ref" in schema:
                found = found.with_(self.meeting(self._references.target(schema["$ref"]), below))
            self._known[key] = found
        return self._known[key]

    def _inside(self, schema: Mapping[str, Any], below: int) -> Meeting:
        named = self._most(schema.get("properties", {}).values(), below)
        patterned = self._most(schema.get("patternProperties", {}).values(), below)
        others = (schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ()))
        return _larger(named.with_(patterned), self._most(others, below))

    def _most(self, schemas: Iterable[Any], below: int) -> Meeting:
        found = Meeting()
        for schema in schemas:
            found = _larger(found, self.meeting(schema, below))
        return found


def _larger(one: Meeting, other: Meeting) -> Meeting:
    return Meeting(
        max(one.patterns, other.patterns),
        max(one.characters, other.characters),
        max(one.values, other.values),
    )

"""JSON Schema (2020-12) checked and rewritten for the library, which passes over words that it does not know.

The walk names every word that cannot be held, with its place as a JSON pointer, and writes a schema that holds only
words which the library holds exactly: references by names of our own, patterns in its dialect, `oneOf` as `anyOf`
once its choices are known to exclude one another, and the words of one schema together, so that
`additionalProperties` sees the `properties` and `patternProperties` beside it. Definitions nobody refers to count for
nothing and are not looked at.

What generated JSON looks like: properties come in the order of the schema, then the others; a blank or an
indented new line may stand wherever JSON allows white space; letters are never written as `\\u` escapes, which
would let one name pass for another. So control characters other than tab and line ends do not occur in strings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from engine.errors import HearthError
from engine.prompt.grammar import keywords, patterns, values
from engine.prompt.grammar.exclusive import Excluder
from engine.prompt.grammar.limits import (
    DEEPEST_SCHEMA,
    LARGEST_DIVISOR,
    LONGEST,
    MOST_LEVELS,
    MOST_NAME_PATTERNS,
    MOST_PROPERTIES,
    MOST_VALUES,
    check_count,
    invalid,
    unsupported,
)
from engine.prompt.grammar.meetings import Meeting, check_meetings
from engine.prompt.grammar.references import References

INDENT: Final = 20
"""How far a line of JSON may be indented by default: bounded, so that a model cannot go on with blanks for ever."""
_ABOUT_ITSELF: Final = ("const", "enum", "$ref", *keywords.IN_PLACE)
"""Words that the library takes one by one, each closing the group of those before it."""

_Written = dict[str, Any] | bool
_Word = tuple[str, Any] | None
"""A word as the library is told it; None where it asks nothing."""


def json_schema(schema: Any, *, strict: bool = True, indent: int = INDENT) -> str:
    """A Lark fragment for JSON values that `schema` allows: `%json {…}`, its lines indented by at most `indent`.

    Unless `strict`, `oneOf` is held as `anyOf` where its choices may overlap, and an unknown `format` is taken for
    the note that it is by the standard; everything else is held exactly or refused.
    Raises InvalidRequest for what is no schema or beyond the caps, Unsupported for a word that cannot be held.
    """
    _check_size(schema)
    try:
        rewritten = _Walk(schema, strict=strict).rewritten()
    except RecursionError:
        raise invalid("The schema is nested too deeply.", "Its references lead on and on.") from None
    options = {
        "whitespace_pattern": rf"[ ]|[ ]?\n[ \t]{{0,{indent}}}",
        "json_allowed_escapes": 'nrbtf\\"',
    }
    return "%json " + json.dumps({**rewritten, "x-guidance": options})


def _check_size(schema: Any) -> None:
    """Refuses what is too deep or too large to be walked, without recursion."""
    level, depth = [schema], 0
    while level:
        depth += 1
        if depth > 4 * DEEPEST_SCHEMA:
            raise invalid("The schema is nested too deeply.", f"Schemas may be {DEEPEST_SCHEMA} deep.")
        level = [child for value in level for child in _children(value)]
        if len(level) > LONGEST:
            raise _too_long()
    try:
        if len(json.dumps(schema, ensure_ascii=False, separators=(",", ":"), allow_nan=False)) > LONGEST:
            raise _too_long()
    except (TypeError, ValueError) as error:
        raise invalid("The schema is no JSON.", f"{error}.", "Give a schema of plain JSON values.") from None


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _too_long() -> HearthError:
    return invalid("The schema is too long.", f"As compact JSON it may have {LONGEST:,} characters.")


class _Walk:
    """One schema on its way: counts what is capped, and goes on to the definitions that are referred to."""

    def __init__(self, root: Any, *, strict: bool) -> None:
        self._root = root
        self._strict = strict
        self._references = References(root)
        self._levels = self._deepest = 0
        self._properties = 0
        self._name_patterns = 0
        self._divisor = 1
        self._total = Meeting()
        self._one_ofs: list[tuple[Sequence[Any], str]] = []

    def rewritten(self) -> dict[str, Any]:
        """The whole schema anew."""
        whole = self._outermost(self._root, "")
        if whole is False:
            raise invalid("The schema allows nothing.", "It is `false`.", "Say what is allowed.")
        names = self._references.names
        definitions: dict[str, _Written] = {}
        while len(definitions) < len(names):
            pointer, name = list(names.items())[len(definitions)]
            definitions[name] = self._outermost(self._references.at(pointer), pointer)
        self._references.check_loops()
        self._check_choices()
        check_meetings(self._root, self._references, self._total)
        return {**({} if whole is True else whole), **({"$defs": definitions} if definitions else {})}

    def _check_choices(self) -> None:
        """Refuses a `oneOf` that would have to see that no second choice holds."""
        excluder = Excluder(self._references.target)
        for choices, place in self._one_ofs if self._strict else ():
            overlap = excluder.overlap(choices)
            if overlap is not None:
                raise unsupported(
                    f"`oneOf` at {place} cannot be held by a grammar.",
                    f"A value could fit both choice {overlap[0]} and choice {overlap[1]}.",
                    "Use `anyOf`, or require in each choice a property that has another `const`.",
                )

    def _outermost(self, schema: Any, pointer: str) -> _Written:
        """The schema of the whole or of a definition; its levels count for the library's stack."""
        self._deepest = 0
        written = self._schema(schema, pointer, 1)
        self._levels += self._deepest
        if self._levels > MOST_LEVELS:
            raise invalid(
                "The schema is nested too deeply.", "Its definitions lead on and on.", "Simplify it."
            )
        return written

    def _schema(self, schema: Any, pointer: str, depth: int) -> _Written:
        self._deepest = max(self._deepest, depth)
        if isinstance(schema, bool):
            return schema
        place = pointer or "the top"
        if not isinstance(schema, Mapping):
            raise invalid(
                f"There is no schema at {place}.",
                f"A schema is an object, true or false, not {schema!r:.40}.",
            )
        if depth > DEEPEST_SCHEMA:
            raise invalid(f"The schema at {place} lies too deep.", f"Schemas may be {DEEPEST_SCHEMA} deep.")
        before: dict[str, Any] = {}
        own: dict[str, Any] = {}
        after: dict[str, Any] = {}
        doubles = []
        for word, value in schema.items():
            told = self._word(word, value, f"{pointer}/{values.step(word)}", schema, depth)
            if told is None:
                continue
            name, written = told
            if name in before or name in after:
                # A `oneOf` that became an `anyOf` beside another one: both hold.
                doubles.append({name: written})
            elif name in _ABOUT_ITSELF:
                (after if own else before)[name] = written
            else:
                own[name] = written
        self._total = self._total.with_(Meeting.of(schema))
        if self._total.values > MOST_VALUES:
            raise invalid(f"The schema lists more than {MOST_VALUES:,} values.", f"The last are at {place}.")
        whole = {**before, **own, **after}
        return {**whole, "allOf": [*whole.get("allOf", ()), *doubles]} if doubles else whole

    def _word(self, word: Any, value: Any, place: str, schema: Mapping[str, Any], depth: int) -> _Word:
        if not isinstance(word, str):
            raise invalid(f"A word of the schema is no text: {word!r:.40}.")
        if word in keywords.ANNOTATIONS or word in keywords.DEFINITIONS or word.startswith("x-"):
            return None
        match word:
            case "type":
                return word, values.types(value, place)
            case "const":
                return word, values.constant(value, place)
            case "enum":
                return word, self._enum(value, place)
            case "minLength" | "maxLength" | "minItems" | "maxItems":
                return word, values.count(word, value, place)
            case "minProperties" | "maxProperties":
                return self._size(word, values.count(word, value, place), place, schema)
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
                return word, values.bound(word, value, place)
            case "multipleOf":
                return word, self._multiple(values.bound(word, value, place), place)
            case "pattern":
                return word, patterns.somewhere(values.text(value, place), f"`pattern` at {place}")
            case "format":
                return self._format(values.text(value, place), place)
            case "required":
                return word, values.names(value, place)
            case "properties" | "patternProperties":
                return word, self._map(word, value, place, depth)
            case "additionalProperties":
                return word, self._schema(value, place, depth + 1)
            case "items" if not isinstance(value, list | tuple):
                return word, self._schema(value, place, depth + 1)
            case "allOf" | "anyOf" | "prefixItems":
                return word, self._list(word, value, place, depth)
            case "oneOf":
                self._one_ofs.append((value, place))
                return "anyOf", self._list(word, value, place, depth)
            case "$ref":
                return word, self._references.renamed(value, f"`$ref` at {place}")
            case "uniqueItems" if value is False:
                return None
            case "$schema" if isinstance(value, str) and value.rstrip("#") in keywords.DRAFTS:
                return None
            case "$id" if place == "/$id":
                return None
        if word in keywords.BEYOND:
            raise unsupported(f"`{word}` at {place} cannot be held by a grammar.", fix=keywords.BEYOND[word])
        raise unsupported(
            f"The word `{word}` at {place} is unknown.",
            "It is none of JSON Schema 2020-12, and nothing is passed over in silence.",
            "Leave it out, or begin its name with `x-` if it is a note.",
        )

    def _multiple(self, divisor: float, place: str) -> float:
        # Decimal of a float's shortest text: 0.01 is 1 with two decimal places.
        digits = Decimal(str(divisor)).normalize().as_tuple().digits
        self._divisor = math.lcm(self._divisor, int("".join(map(str, digits))))
        if self._divisor > LARGEST_DIVISOR:
            raise unsupported(
                f"`multipleOf` at {place} cannot be held by a grammar.",
                f"With the others of the schema it makes more than {LARGEST_DIVISOR:,} remainders to tell apart.",
                "Use a smaller or rounder number.",
            )
        return divisor

    def _enum(self, listed: Any, place: str) -> list[Any]:
        if not isinstance(listed, list | tuple) or not listed:
            raise invalid(f"`enum` at {place} must be a list with something in it.")
        return [values.constant(value, f"{place}/{index}") for index, value in enumerate(listed)]

    def _size(self, word: str, count: int, place: str, schema: Mapping[str, Any]) -> _Word:
        """`minProperties` and `maxProperties`: a grammar can count only what it knows to be there."""
        required = set(values.names(schema.get("required", ()), place))
        if word == "minProperties":
            if count <= len(required):
                return None
            if count > 1:
                raise unsupported(
                    f"`minProperties` of {count} at {place} cannot be held by a grammar.",
                    "Properties that the schema does not name could come twice, and would count as one.",
                    "Name the properties and require them.",
                )
        named = schema.get("properties")
        if isinstance(named, Mapping) and not required.issuperset(named):
            raise unsupported(
                f"`{word}` at {place} cannot be held by a grammar.",
                "Some of the properties beside it are optional.",
                "Leave it out, or require all properties.",
            )
        return word, count

    def _format(self, name: str, place: str) -> _Word:
        if name in keywords.FORMATS:
            return "format", name
        if not self._strict:
            return None
        raise unsupported(
            f"The format `{name}` at {place} is unknown.",
            f"Known are {', '.join(sorted(keywords.FORMATS))}.",
            "Use `pattern`, or ask without `strict`.",
        )

    def _map(self, word: str, schemas: Any, place: str, depth: int) -> dict[str, Any]:
        if not isinstance(schemas, Mapping):
            raise invalid(f"`{word}` at {place} must be an object of schemas.")
        self._properties += len(schemas)
        if self._properties > MOST_PROPERTIES:
            raise invalid(
                f"The schema has more than {MOST_PROPERTIES} properties.", f"The last are at {place}."
            )
        if word == "patternProperties":
            self._name_patterns += len(schemas)
            if self._name_patterns > MOST_NAME_PATTERNS:
                raise invalid(
                    f"The schema has more than {MOST_NAME_PATTERNS} patterns of names.",
                    f"The last are at {place}.",
                )
        found: dict[str, Any] = {}
        for name, schema in schemas.items():
            here = f"{place}/{values.step(name)}"
            written = values.text(name, here)
            if word == "patternProperties":
                written = patterns.somewhere(name, f"The pattern at {here}")
            if written in found:
                raise unsupported(f"The pattern at {here} says the same as another.", fix="Make them one.")
            found[written] = self._schema(schema, here, depth + 1)
        return found

    def _list(self, word: str, schemas: Any, place: str, depth: int) -> list[Any]:
        if not isinstance(schemas, list | tuple) or not schemas:
            raise invalid(f"`{word}` at {place} must be a list with a schema in it.")
        check_count(len(schemas), f"The list at {place}")
        return [self._schema(each, f"{place}/{index}", depth + 1) for index, each in enumerate(schemas)]

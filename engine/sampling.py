"""Lays sampling overrides over one another and checks them: request > alias > model's own > defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.errors import InvalidRequest
from engine.types import Sampling, SamplingOverrides

FIELDS: frozenset[str] = frozenset(Sampling.__struct_fields__)
_KINDS = {
    "float": "a number", "int": "a whole number", "bool": "true or false", "str": "text", "array": "a list",
    "object": "a table",
}  # fmt: skip


def resolve(*layers: SamplingOverrides) -> Sampling:
    """The full `Sampling` of `layers`, strongest first, over the house defaults.

    A value of None in a layer means "not said". Raises InvalidRequest naming the field that is unknown, of the
    wrong type, not finite or out of bounds.
    """
    return _checked(merged(layers))


def merged(layers: Sequence[SamplingOverrides]) -> dict[str, Any]:
    """One mapping of `layers`, strongest first, without the values that say nothing."""
    result: dict[str, Any] = {}
    for layer in reversed(layers):
        result.update({name: value for name, value in layer.items() if value is not None})
    return result


def sources(layers: Sequence[tuple[str, SamplingOverrides]]) -> dict[str, tuple[Any, str]]:
    """For every sampling field its value and the name of the layer it comes from (`default` if none says)."""
    full = resolve(*(layer for _, layer in layers))
    found: dict[str, tuple[Any, str]] = {}
    for name in Sampling.__struct_fields__:
        origin = next((label for label, layer in layers if layer.get(name) is not None), "default")
        found[name] = (getattr(full, name), origin)
    return found


def _checked(values: dict[str, Any]) -> Sampling:
    for name, value in values.items():
        if name not in FIELDS:
            raise InvalidRequest(
                f"Unknown sampling field `{name}`.",
                fix=f"Known fields: {', '.join(sorted(FIELDS))}.",
                param=name,
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest(f"`{name}` must be a finite number.", f"It is {value}.", param=name)
    try:
        return msgspec.convert(values, Sampling, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        # msgspec says where in its message only: "Expected `float` <= 1.0 - at `$.top_p`".
        problem, _, place = str(error).partition(" - at `$.")
        field = place.split("`")[0].split("[")[0]
        if not field and "$.logit_bias" in problem:
            field, problem = "logit_bias", "Its keys must be token ids"
        raise InvalidRequest(
            f"`{field}` has a value that cannot be used: {repr(values.get(field))[:80]}.",
            _in_words(problem),
            param=field,
        ) from None


def _in_words(problem: str) -> str:
    """What msgspec says of a value, for a person."""
    if bound := re.fullmatch(r"Expected `\w+` ([<>])= (\S+)", problem):
        return f"It must be at {'most' if bound[1] == '<' else 'least'} {bound[2]}."
    if length := re.fullmatch(r"Expected `(\w+)` of length ([<>])= (\d+)", problem):
        parts = "characters" if length[1] == "str" else "entries"
        return f"It may have at {'most' if length[2] == '<' else 'least'} {length[3]} {parts}."
    if kind := re.match(r"Expected `(\w+)", problem):
        return f"It must be {_KINDS.get(kind[1], kind[1])}."
    return "It is none of the values that are known." if problem.startswith("Invalid enum") else f"{problem}."

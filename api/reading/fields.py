"""Takes typed fields out of a JSON object, and knows which were not taken.

Client libraries grow fields monthly. One that no dialect here knows is let pass, named in the header
`x-hearth-ignored` and in the request log; one that is known and of the wrong type is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, TypeVar, cast

import msgspec

from engine.errors import InvalidRequest

_T = TypeVar("_T")
_KINDS = {
    "float": "a number", "int": "a whole number", "bool": "true or false", "str": "text", "array": "a list",
    "object": "an object",
}  # fmt: skip


class Fields:
    """A JSON object. Null counts as not said."""

    def __init__(self, body: Mapping[str, Any], where: str = "") -> None:
        self._body = body
        self._where = f"{where}." if where else ""
        self._taken: set[str] = set()

    def take(self, name: str, kind: type[_T], *also: str) -> _T | None:
        """The value of `name`, or of one of its other names. Raises InvalidRequest naming it."""
        for each in (name, *also):
            self._taken.add(each)
        for each in (name, *also):
            value = self._body.get(each)
            if value is not None:
                return as_kind(value, kind, self._where + each)
        return None

    def any(self, name: str) -> Any:
        """The value of `name`, whatever it is."""
        self._taken.add(name)
        return self._body.get(name)

    def need(self, name: str, kind: type[_T], *also: str) -> _T:
        """As `take`, and it must be there."""
        found = self.take(name, kind, *also)
        if found is None:
            raise InvalidRequest(f"{self._where}{name} is required", param=self._where + name)
        return found

    def put(self, name: str, value: Any) -> None:
        """Have `name` say `value`, which is what it means."""
        self._body = {**self._body, name: value}

    def known(self, names: Collection[str]) -> None:
        """`names` have no meaning here, and that is right."""
        self._taken.update(names)

    def has(self, name: str) -> bool:
        """Whether `name` is there and not null."""
        return self._body.get(name) is not None

    def refuse(self, name: str, why: str, fix: str = "") -> None:
        """Raises InvalidRequest if `name` is there: it would change the answer, and cannot be honoured."""
        self._taken.add(name)
        if self._body.get(name) not in (None, False, "", [], {}):
            raise InvalidRequest(
                f"`{self._where}{name}` cannot be honoured.",
                why,
                fix or "Leave it out.",
                param=self._where + name,
            )

    @property
    def ignored(self) -> list[str]:
        """The names that nothing asked for."""
        return [name for name in self._body if name not in self._taken]


def as_kind(value: Any, kind: type[_T], name: str) -> _T:
    """`value` as a `kind`: a whole float counts as an int. Raises InvalidRequest naming the field."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"`{name}` must be a finite number.", param=name)
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        if kind is int and isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return cast(_T, int(value))
        raise InvalidRequest(
            f"`{name}` has a value that cannot be used.", words(str(error)), param=name
        ) from None


def words(problem: str) -> str:
    """What msgspec says of a value, for a person."""
    text, _, place = problem.partition(" - at `$")
    said = text.removeprefix("Expected ")
    for kind, name in _KINDS.items():
        said = said.replace(f"`{kind}`", name)
    at = f" (at `{place.lstrip('.').rstrip('`')}`)" if place.strip("`.") else ""
    return f"Expected {said}{at}." if text != said else f"{text}{at}."

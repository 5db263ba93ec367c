"""The questions of both forms, checked strictly: what is unknown in a question is refused (422)."""

from __future__ import annotations

import string
from typing import Any, Final, Literal

from msgspec import Struct

from api.errors import Unprocessable

Kind = Literal["truth", "choice", "score"]
MAX_OPTIONS: Final = 255
MAX_LEVELS: Final = 10
MAX_QUESTIONS: Final = 400


class Option(Struct, frozen=True):
    """One way to answer. `label` is what the model says for it, `value` what the client calls it."""

    label: str
    value: Any
    description: str = ""


class Question(Struct, frozen=True, kw_only=True):
    name: str | None
    kind: Kind
    instructions: str
    options: tuple[Option, ...]

    def prompt(self, state: str) -> str:
        """The one message that asks it; all questions about a state begin alike, so its prefix is computed once."""
        lines = [f"{one.label}: {_line(one)}" for one in self.options]
        word = "number" if self.kind == "score" else "word" if self.kind == "truth" else "label"
        head = f"{state}\n\n" if state else ""
        return f"{head}{self.instructions}\n" + "\n".join(lines) + f"\n\nAnswer with the {word} only."


def system_one(value: Any) -> list[Question]:
    """System One's `questions`, by name. Raises Unprocessable."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_QUESTIONS:
        raise Unprocessable(
            f"`questions` must be an object of 1 to {MAX_QUESTIONS} questions.", param="questions"
        )
    found: list[Question] = []
    for name, body in value.items():
        where = f"questions.{name}"
        body = _table(body, {"type", "instructions", "criteria"}, where)
        text, criteria = _text(body, where), body.get("criteria")
        match body.get("type"):
            case "noul":
                found.append(_truth(name, text, criteria if isinstance(criteria, dict) else {}))
            case "choice" if isinstance(criteria, dict) and 1 <= len(criteria) <= MAX_OPTIONS:
                found.append(_choice(name, text, list(criteria.items())))
            case "score" if isinstance(criteria, list) and 1 <= len(criteria) <= MAX_LEVELS:
                found.append(_score(name, text, [(place, each) for place, each in enumerate(criteria)]))
            case _:
                raise Unprocessable(
                    f"`{where}` cannot be asked.",
                    f"It is noul, choice (1 to {MAX_OPTIONS} criteria) or score (1 to {MAX_LEVELS}).",
                    param=where,
                )
    return found


def decisions(value: Any) -> list[Question]:
    """OpenAI's `questions`, in order. Raises Unprocessable."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_QUESTIONS:
        raise Unprocessable(
            f"`questions` must be a list of 1 to {MAX_QUESTIONS} questions.", param="questions"
        )
    found: list[Question] = []
    for place, body in enumerate(value):
        where = f"questions[{place}]"
        body = _table(body, {"type", "name", "instructions", "choices", "levels"}, where)
        name = body.get("name")
        if not (name is None or isinstance(name, str)):
            raise Unprocessable(f"`{where}.name` must be text.", param=where)
        text = _text(body, where)
        match body.get("type"):
            case "predicate":
                found.append(_truth(name, text, {}))
            case "choice":
                rows = _rows(body.get("choices"), "value", 2, MAX_OPTIONS, f"{where}.choices")
                found.append(_choice(name, text, rows))
            case "score":
                rows = _rows(body.get("levels"), "label", 2, MAX_LEVELS, f"{where}.levels")
                found.append(_score(name, text, rows))
            case _:
                raise Unprocessable(
                    f"`{where}` cannot be asked.", "It is predicate, choice or score.", param=where
                )
    return found


def _truth(name: str | None, text: str, criteria: dict[str, Any]) -> Question:
    options = (
        Option("Yes", True, str(criteria.get("true") or "")),
        Option("No", False, str(criteria.get("false") or "")),
    )
    return Question(name=name, kind="truth", instructions=text, options=options)


def _choice(name: str | None, text: str, rows: list[tuple[Any, Any]]) -> Question:
    letters = string.ascii_uppercase
    labels = list(letters) if len(rows) <= len(letters) else [a + b for a in letters for b in letters]
    options = tuple(
        Option(label, value, str(about or "")) for label, (value, about) in zip(labels, rows, strict=False)
    )
    return Question(name=name, kind="choice", instructions=text, options=options)


def _score(name: str | None, text: str, rows: list[tuple[Any, Any]]) -> Question:
    options = tuple(Option(str(place), value, str(about or "")) for place, (value, about) in enumerate(rows))
    return Question(name=name, kind="score", instructions=text, options=options)


def _rows(value: Any, key: str, least: int, most: int, where: str) -> list[tuple[Any, Any]]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise Unprocessable(f"`{where}` must be a list of {least} to {most}.", param=where)
    found = []
    for each in value:
        row = _table(each, {key, "description"}, where)
        if not isinstance(row.get(key), str | bool):
            raise Unprocessable(f"`{where}.{key}` must be text.", param=where)
        found.append((row[key], row.get("description")))
    if len({str(name) for name, _ in found}) < len(found):
        raise Unprocessable(f"`{where}` names one thing twice.", param=where)
    return found


def _table(value: Any, known: set[str], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unprocessable(f"`{where}` must be an object.", param=where)
    if unknown := sorted(set(value) - known):
        raise Unprocessable(f"`{where}` has a field that is not known: {unknown[0][:40]!r}.", param=where)
    return value


def _text(body: dict[str, Any], where: str) -> str:
    text = body.get("instructions")
    if not isinstance(text, str) or not text.strip():
        raise Unprocessable(f"`{where}.instructions` is required.", param=where)
    return text


def _line(option: Option) -> str:
    value = "" if isinstance(option.value, bool | int) else str(option.value)
    return " - ".join(part for part in (value, option.description) if part) or option.label

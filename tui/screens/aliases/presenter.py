"""What is shown of aliases, as plain data: the list, the rows of the form with where each value comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from engine.text_safety import clean, plain
from engine.types import Effective, NamedAlias, Setup
from tui.screens.aliases import values
from tui.screens.aliases.draft import Book, Draft
from tui.screens.aliases.fields import Field, fields

ALIAS, PROMPT = "alias", "prompt"
NOT_KNOWN = "…"
"""In place of a value that is being asked for."""


class Line(Struct, frozen=True, kw_only=True):
    """One alias of the list."""

    name: str
    model: str
    note: str
    """What it says, or why it cannot be used; clean text."""
    changed: bool = False
    new: bool = False
    broken: bool = False
    chosen: bool = False
    """Whether the chat talks to it."""


class Row(Struct, frozen=True, kw_only=True):
    """One field of the form: what holds of it, and who says so."""

    field: Field
    value: str
    origin: str
    said: bool
    wrong: str = ""
    conflict: str = ""

    @property
    def key(self) -> str:
        return self.field.key


class Heading(Struct, frozen=True):
    """Where a group begins."""

    group: str


FormLine = Row | Heading


def lines(book: Book, words: str, chat_model: str) -> list[Line]:
    """The aliases that hold every word in their name, model, description or system text; new ones first."""
    wanted = words.lower().split()
    new = [draft for draft in book.drafts.values() if draft.kept is None]
    found = [_line(draft.name, None, draft, chat_model) for draft in new]
    known = {draft.name for draft in new}
    found += [
        _line(each.name, each, book.drafts.get(each.name), chat_model)
        for each in book.named
        if each.name not in known
    ]
    return [line for line in found if _matches(line, book, wanted)]


def _line(name: str, named: NamedAlias | None, draft: Draft | None, chat_model: str) -> Line:
    alias = draft.alias if draft is not None else named.alias if named is not None else None
    chosen = name == chat_model
    why = named.broken if named is not None else None
    if alias is None or why is not None:
        changed = draft is not None and draft.changed
        return Line(
            name=name, model="", note=plain(why or "", 300), changed=changed, broken=True, chosen=chosen
        )
    said = values.said(alias)
    note = plain(alias.description, 200) or ", ".join(fields()[key].label for key in said)
    return Line(
        name=name,
        model=plain(alias.model, 200),
        note=note or "nothing set",
        changed=draft is not None and draft.changed,
        new=draft is not None and draft.kept is None,
        chosen=chosen,
    )


def _matches(line: Line, book: Book, wanted: list[str]) -> bool:
    draft, named = book.drafts.get(line.name), book.find(line.name)
    alias = draft.alias if draft is not None else named.alias if named is not None else None
    more = f"{alias.description} {alias.system or ''} {alias.prompt or ''}" if alias is not None else ""
    text = f"{line.name} {line.model} {line.note} {more}".lower()
    return all(word in text for word in wanted)


def rows(draft: Draft, setup: Setup | None, *, only_said: bool = False) -> Iterator[FormLine]:
    """The form of a draft; `setup` is what would hold, None while nobody knows."""
    held = {each.name: each for each in setup.values} if setup is not None else {}
    group = ""
    for field in fields().values():
        row = _row(draft, field, held)
        if only_said and not (row.said or row.wrong or row.conflict):
            continue
        if field.group != group:
            group = field.group
            yield Heading(group)
        yield row


def _row(draft: Draft, field: Field, held: Mapping[str, Effective]) -> Row:
    key = field.key
    said = values.raw(draft.alias, key)
    wrong = clean(draft.wrong[key][1]) if key in draft.wrong else ""
    conflict = clean(draft.conflicts.get(key, ""))
    if wrong:
        return Row(field=field, value=_line_of(draft.text(key)), origin=ALIAS, said=True, wrong=wrong)
    if said is not None:
        value = values.shown(key, said) if said != () else ("base" if key == "adapters" else "none")
        return Row(field=field, value=_line_of(value), origin=ALIAS, said=True, conflict=conflict)
    found = held.get(key)
    if found is None:
        waits = key in HELD and not held
        return Row(field=field, value=NOT_KNOWN if waits else "–", origin="", said=False, conflict=conflict)
    if found.origin == ALIAS and not (key == "system" and draft.alias.prompt is not None):
        # What was asked about said it, and this does not any more.
        return Row(field=field, value=NOT_KNOWN, origin="", said=False, conflict=conflict)
    origin = PROMPT if found.origin == ALIAS else found.origin
    return Row(
        field=field,
        value=_line_of(values.shown(key, found.value)),
        origin=origin,
        said=False,
        conflict=conflict,
    )


HELD = frozenset(fields()) - {"model", "description", "licence", "prompt"}
"""Fields that something holds of where the alias says nothing."""


def _line_of(text: str) -> str:
    return plain(text, 300) or "–"


def about(row: Row) -> str:
    """What a field is for, and what it takes where it is typed."""
    takes = f"Takes {row.field.expects}." if row.field.expects and row.field.kind == "line" else ""
    return " ".join(part for part in (row.field.help, takes) if part)

"""An alias as it is being edited beside what lies in the file, and the drafts of all of them. Knows no widget.

A draft stays as long as it differs from the file, whatever is looked at meanwhile. What others write into the file is
taken in field by field: where both changed the same one, the draft's value stays and the field is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.text_safety import plain
from engine.types import Alias, NamedAlias
from tui.screens.aliases import values
from tui.screens.aliases.fields import fields

MOST_STEPS = 100


@dataclass(slots=True)
class Draft:
    """`kept` is what the file says, None for an alias that is not there; `alias` what is being made of it."""

    name: str
    kept: Alias | None
    alias: Alias
    wrong: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Fields whose text cannot be read: the text and why."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Fields that others changed too, with what they say."""
    steps: list[tuple[Alias, dict[str, tuple[str, str]]]] = field(default_factory=list)
    """What it was before each change, with what was wrong then."""

    typing: str = ""
    """The field that is being typed."""
    typed: str | None = None
    """What stands in it, which is not always how its value is written: `60` is a minute."""

    @property
    def changed(self) -> bool:
        """Whether anything would be lost."""
        return self.kept != self.alias or bool(self.wrong)

    def text(self, key: str) -> str:
        """What stands in a field."""
        if key == self.typing and self.typed is not None:
            return self.typed
        return self.wrong[key][0] if key in self.wrong else values.text_of(self.alias, key)

    def type(self, key: str, text: str) -> str:
        """Take in what stands in a field now; what is wrong with it, empty for nothing."""
        if key == self.typing:
            self.typed = text
        try:
            made = values.with_text(self.alias, key, text)
        except HearthError as error:
            self.wrong[key] = (text, " ".join(part for part in (error.what, error.why) if part))
            return self.wrong[key][1]
        self.wrong.pop(key, None)
        self.alias = made
        return ""

    def step(self) -> None:
        """Remember how it stands, before a change."""
        now = (self.alias, dict(self.wrong))
        if not self.steps or self.steps[-1] != now:
            self.steps.append(now)
            del self.steps[:-MOST_STEPS]

    def step_for(self, key: str) -> None:
        """The same, once for all that is typed into a field before it is left."""
        if self.typing != key:
            self.step()
            self.typing, self.typed = key, None

    def leave(self) -> None:
        """The field that was typed is left."""
        self.typing, self.typed = "", None

    def back(self) -> bool:
        """Take the last change back; False if there is none."""
        self.leave()
        while self.steps:
            before = self.steps.pop()
            if before != (self.alias, self.wrong):
                self.alias, self.wrong = before
                return True
        return False

    def take_in(self, theirs: Alias) -> None:
        """Meet what others have written into the file."""
        base, self.kept = self.kept, theirs
        if base is None:
            # An alias of that name was made elsewhere: all that differs is for somebody to decide.
            base = Alias(model="")
        mine, conflicts = self.alias, dict(self.conflicts)
        for key in fields():
            here, there, before = (values.raw(each, key) for each in (mine, theirs, base))
            if there == before or here == there:
                if here == there:
                    conflicts.pop(key, None)
                continue
            if here == before and key not in self.wrong:
                self.alias = values.put(self.alias, key, there)
            else:
                conflicts[key] = values.shown(key, there)
        self.conflicts = conflicts

    def settled(self) -> None:
        """It lies in the file as it is."""
        self.leave()
        self.kept = self.alias
        self.conflicts.clear()
        self.wrong.clear()


class Book:
    """The aliases of the file and the drafts beside them."""

    def __init__(self) -> None:
        self.named: list[NamedAlias] = []
        self.drafts: dict[str, Draft] = {}
        self.removed: list[Draft] = []
        """What was deleted here and can be brought back, the last one at the end."""

    def take(self, named: Iterable[NamedAlias]) -> list[str]:
        """Go by what the file says now; what is to be told of it, a sentence each."""
        before = {each.name: each for each in self.named}
        self.named = list(named)
        here = {each.name: each for each in self.named}
        told: list[str] = []
        for name, draft in list(self.drafts.items()):
            found = here.get(name)
            if found is None or found.alias is None:
                if found is not None:
                    if draft.changed and (name not in before or before[name].broken is None):
                        told.append(f"{plain(name, 40)} was broken elsewhere; your changes are here still.")
                    elif not draft.changed:
                        del self.drafts[name]  # nothing of it is one's own: the file's word holds
                elif draft.kept is not None and draft.changed:
                    told.append(f"{plain(name, 40)} was removed elsewhere; your changes are here still.")
                    draft.kept = None
                elif draft.kept is not None:
                    del self.drafts[name]
            elif found.alias != draft.kept:
                was_changed = draft.changed
                known = set(draft.conflicts)
                draft.take_in(found.alias)
                if not was_changed:
                    draft.alias = found.alias
                    draft.conflicts.clear()
                if set(draft.conflicts) - known:
                    told.append(f"{plain(name, 40)} was changed elsewhere too: the form says where.")
                elif was_changed:
                    told.append(f"{plain(name, 40)} was changed elsewhere; that is taken in.")
        for name in before.keys() - here.keys() - self.drafts.keys():
            if name not in {gone.name for gone in self.removed}:
                told.append(f"{plain(name, 40)} was removed elsewhere.")
        return told

    def find(self, name: str) -> NamedAlias | None:
        """What the file says of a name."""
        return next((each for each in self.named if each.name == name), None)

    def draft(self, name: str) -> Draft | None:
        """The draft of an alias, begun now if need be; None for one that cannot be used or is not there."""
        if name in self.drafts:
            return self.drafts[name]
        found = self.find(name)
        if found is None or found.alias is None:
            return None
        made = self.drafts[name] = Draft(name, found.alias, found.alias)
        return made

    def begin(self, name: str, alias: Alias) -> Draft:
        """A draft of a new alias. Raises InvalidRequest for a name that is taken."""
        if self.taken(name):
            raise InvalidRequest(
                f"There is an alias {plain(name, 80)!r} already.", fix="Choose another name.", param="name"
            )
        made = self.drafts[name] = Draft(name, None, alias)
        return made

    def forget(self, draft: Draft) -> None:
        """Put a draft where it can be brought back from."""
        self.drafts.pop(draft.name, None)
        self.named = [each for each in self.named if each.name != draft.name]
        self.removed.append(draft)

    def renamed(self, before: str, name: str) -> None:
        """Know by its new name what was renamed here."""
        self.named = [replace(each, name=name) if each.name == before else each for each in self.named]

    def taken(self, name: str) -> bool:
        """Whether an alias or a draft has the name."""
        return name.lower() in {each.lower() for each in (*(one.name for one in self.named), *self.drafts)}

    def free_name(self, like: str) -> str:
        """A name that no alias has: `like`, or that with a number."""
        number, name = 1, like
        while self.taken(name):
            number += 1
            name = f"{like}-{number}"
        return name

    @property
    def unsaved(self) -> list[Draft]:
        """The drafts that differ from the file."""
        return [draft for draft in self.drafts.values() if draft.changed]

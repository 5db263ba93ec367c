"""Named system prompts with all their versions, in `prompts.json` beside the settings.

`name` is the newest version, `name@3` the third. Setting one adds a version; none is ever written over. Disk work: not
for an event loop.
"""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.checking import check
from engine.errors import InvalidRequest
from engine.store.registry import Registry, Stamp, checked_name, spelt
from engine.text_safety import plain
from engine.types import NamedPrompt, PromptVersion

MOST_VERSIONS: Final = 10_000
LONGEST: Final = 1_000_000
"""Characters of one prompt."""


class _Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    versions: Annotated[tuple[PromptVersion, ...], Meta(min_length=1)]


class Prompts:
    """The prompts in `file`. Usable from any thread. Calls raise StorageFailed for a file that cannot be read."""

    def __init__(self, file: Path) -> None:
        self._registry = Registry(file, "prompts", _Record)

    def stamp(self) -> Stamp | None:
        """What changes with the file."""
        return self._registry.stamp()

    def all(self) -> list[NamedPrompt]:
        """Every prompt by name, those that cannot be used with the reason."""
        found = [
            NamedPrompt(name=name, versions=each.versions) for name, each in self._registry.all().items()
        ]
        found += [NamedPrompt(name=name, broken=why) for name, why in self._registry.broken().items()]
        return sorted(found, key=lambda prompt: prompt.name.lower())

    def get(self, name: str) -> NamedPrompt:
        """The prompt `name`. Raises InvalidRequest if there is none, or none that can be used."""
        records = self._registry.all()
        key = spelt(records, name)
        if key is not None:
            return NamedPrompt(name=key, versions=records[key].versions)
        broken = self._registry.broken()
        if (key := spelt(broken, name)) is not None:
            raise InvalidRequest(
                f"The prompt {plain(key, 80)!r} cannot be used.",
                broken[key],
                f"Mend it in {self._registry.path}.",
                param="prompt",
            )
        near = difflib.get_close_matches(name, list(records), n=3, cutoff=0.5)
        raise InvalidRequest(
            f"There is no prompt {plain(name, 80)!r}.",
            f"Known: {len(records)}.",
            f"Did you mean {' or '.join(near)}?" if near else "`hearth prompts list` lists them.",
            param="prompt",
        )

    def text(self, reference: str) -> str:
        """What `name` or `name@3` says. Raises InvalidRequest."""
        name, number = split(reference)
        return self.version(name, number).text

    def version(self, name: str, number: int | None = None) -> PromptVersion:
        """Version `number`, counted from 1; None is the newest. Raises InvalidRequest."""
        versions = self.get(name).versions
        if number is None:
            return versions[-1]
        if not 1 <= number <= len(versions):
            raise InvalidRequest(
                f"The prompt {plain(name, 80)!r} has no version {number}.",
                f"It has {len(versions)}.",
                f"`hearth prompts show {name} --versions` lists them.",
                param="prompt",
            )
        return versions[number - 1]

    def put(self, name: str, text: str, note: str = "") -> int:
        """Make `text` the newest version; its number. The same text again makes none. Raises InvalidRequest."""
        checked_name(name, "a prompt")
        if not text.strip() or len(text) > LONGEST:
            raise InvalidRequest(
                "The text of a prompt is missing."
                if not text.strip()
                else "The text of a prompt is too long.",
                f"It may have 1 to {LONGEST} characters.",
                param="text",
            )
        new = PromptVersion(text=text, created=round(time.time(), 3), note=note)
        check(new)
        number = 0

        def edit(records: dict[str, _Record]) -> None:
            nonlocal number
            key = spelt(records, name) or name
            before = records[key].versions if key in records else ()
            number = len(before)
            if before and before[-1].text == text:
                return
            if number >= MOST_VERSIONS:
                raise InvalidRequest(
                    f"The prompt {key!r} has {MOST_VERSIONS} versions.", fix="Use another name."
                )
            records[key] = _Record(versions=(*before, new))
            number += 1

        self._registry.change(edit)
        return number

    def restore(self, name: str, number: int) -> int:
        """Make an old version the newest; its new number. Raises InvalidRequest."""
        old = self.version(name, number)
        return self.put(name, old.text, f"version {number} again")

    def remove(self, name: str) -> None:
        """Forget a prompt with all its versions, a damaged one too. Raises InvalidRequest if there is none."""
        key = spelt(self._registry.broken(), name) or self.get(name).name
        self._registry.discard(key)


def split(reference: str) -> tuple[str, int | None]:
    """`name@3` as name and number, `name` as name and None. Raises InvalidRequest."""
    name, at, number = reference.partition("@")
    if not at:
        return name, None
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise InvalidRequest(
            f"{plain(reference, 80)!r} names no version of a prompt.",
            fix="Write the name, or the name and a number, as in poet@3.",
            param="prompt",
        )
    return name, int(number)

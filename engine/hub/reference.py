"""Reads what people write for a model of the hub: `org/name`, `org/name:Q4_K_M`, `hf.co/org/name`, `org/name@v1.0`.

Strict, since parts of it become addresses and folders: what could leave either is refused by name, and nothing is
repaired. Pure.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.library.well_known import well_known
from engine.text_safety import plain

MOST: Final = 400
"""Characters of a reference."""
_PART: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_CHOICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_MOST_REVISION: Final = 100
_SITE: Final = re.compile(r"(?:https://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
MAIN: Final = "main"


class Reference(Struct, frozen=True):
    """A repository of models on the hub. `choice` is a quantisation or the name of a GGUF file; empty: the best."""

    repository: str
    choice: str = ""
    revision: str = MAIN

    def __str__(self) -> str:
        revision = "" if self.revision == MAIN else f"@{self.revision}"
        return f"{self.repository}{revision}{':' if self.choice else ''}{self.choice}"

    @property
    def folder(self) -> str:
        """The name of its folder in the cache of the Hugging Face libraries."""
        return "models--" + self.repository.replace("/", "--")


def parse(text: str, *, choice: str | None = None, revision: str | None = None) -> Reference:
    """The reference that `text` is; `choice` and `revision` say apart what it leaves out.

    Also takes the address of a repository's page or of one of its GGUF files, and a well-known short name. Raises
    InvalidRequest.
    """
    if len(text) > MOST:
        _refuse(text, f"It has {len(text)} characters, and {MOST} are the most.")
    rest = _in_full(text.strip())
    site = _SITE.match(rest)
    if site is not None:
        rest, said_choice, said_revision = _address(text, rest[site.end() :])
    elif "://" in rest:
        _refuse(text, "Models are pulled from the hub that is set up, and from no other address.")
    else:
        said_choice = said_revision = ""
    if rest.endswith(("@", ":")) or "@:" in rest or ":@" in rest:
        _refuse(text, "Nothing stands behind its @ or its colon.")
    rest, _, behind_at = rest.partition("@")
    behind_at, _, choice_behind = behind_at.partition(":")
    rest, _, choice_before = rest.partition(":")
    said_revision = _one(text, "revision", said_revision, behind_at)
    said_choice = _one(
        text, "quantisation", said_choice, _one(text, "quantisation", choice_before, choice_behind)
    )
    found = Reference(
        repository_name(rest, text),
        _one(text, "quantisation", said_choice, choice or ""),
        _one(text, "revision", said_revision, revision or "") or MAIN,
    )
    if found.choice.lower() == "latest":
        found = Reference(found.repository, "", found.revision)
    if found.choice and not _CHOICE.fullmatch(found.choice):
        _refuse(text, f"{plain(found.choice, 60)!r} is no name of a quantisation.")
    if not is_revision(found.revision):
        _refuse(text, f"{plain(found.revision, 60)!r} is no name of a branch, a tag or a commit.")
    return found


def _in_full(text: str) -> str:
    """`llama3.2` or `llama3.2:Q8_0` with its repository; anything else as it is."""
    name, at, revision = text.partition("@")
    if (repository := well_known(name)) is not None:
        return repository + at + revision
    head, colon, choice = name.rpartition(":")
    repository = well_known(head) if colon else None
    return text if repository is None else f"{repository}:{choice}{at}{revision}"


def repository_name(name: str, said: str | None = None) -> str:
    """`name`, if it is one of a repository: `org/name`. Raises InvalidRequest."""
    said = name if said is None else said
    parts = name.rstrip("/").split("/")
    if len(parts) != 2:
        _refuse(said, "A repository is called org/name.")
    for part in parts:
        if not _PART.fullmatch(part) or ".." in part or "--" in part or part.endswith(".git"):
            _refuse(said, f"{plain(part, 60)!r} cannot be part of the name of a repository.")
    return "/".join(parts)


def is_revision(text: str) -> bool:
    """Whether `text` may be a branch, a tag or a commit; such a name is also a path below `refs`."""
    return (
        len(text) <= _MOST_REVISION
        and _REVISION.fullmatch(text) is not None
        and ".." not in text
        and not text.endswith((".lock", "."))
    )


def is_commit(text: str) -> bool:
    """Whether `text` is the full name of a commit."""
    return _COMMIT.fullmatch(text) is not None


def _address(text: str, path: str) -> tuple[str, str, str]:
    """Repository, choice and revision of the path of a page on the hub's site."""
    if any(mark in path for mark in "?#%"):
        _refuse(text, "Its address holds more than the name of a repository.")
    parts = path.rstrip("/").split("/")
    if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve"):
        file = "/".join(parts[4:])
        if (parts[2] == "tree" and file) or (file and not file.lower().endswith(".gguf")):
            _refuse(text, "It is the address of a part of a repository that cannot be pulled alone.")
        return "/".join(parts[:2]), parts[-1] if file else "", parts[3]
    return path, "", ""


def _one(text: str, what: str, one: str, other: str) -> str:
    if one and other and one != other:
        _refuse(text, f"Two {what}s are asked for: {plain(one, 60)} and {plain(other, 60)}.")
    return one or other


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidRequest(
        f"{plain(text, 80)!r} does not name a model of the hub.",
        why,
        "Write org/name, org/name:Q4_K_M, org/name@revision or hf.co/org/name.",
        param="model",
    )

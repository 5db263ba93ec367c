"""Which model folders may run code of their own: revisions in `hub.trust_remote_code`, where the Hub's cache has them.

The cache of `huggingface_hub` keeps a repository as `models--org--name/snapshots/<commit>/`. Its place is all that says
which revision a folder is, so nothing else is taken for one: no copy, no link of that name to elsewhere, and no file of
code that lies outside the repository's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

_SNAPSHOT: Final = re.compile(
    r"models--(?P<org>[A-Za-z0-9][\w.-]*?)--(?P<name>[A-Za-z0-9][\w.-]*)/snapshots/(?P<commit>[0-9a-f]{40})"
)
MAP: Final = "auto_map"
"""The one key by which a trusted revision may ask for its code; there is no need of the others."""


def revision_of(folder: Path) -> str | None:
    """`org/name@<commit>` of a folder in the Hub's cache; None for one that is not there."""
    # Where it really lies: a link of the right name may lead anywhere.
    parts = Path(os.path.realpath(folder)).parts[-3:]
    match = _SNAPSHOT.fullmatch("/".join(parts))
    if match is None or "--" in match["name"]:
        return None
    return f"{match['org']}/{match['name']}@{match['commit']}"


def objection(folder: Path, key: str, value: Any, trusted: Collection[str]) -> str | None:
    """Why the code that `key: value` in a configuration of `folder` asks for is not run; None where it may be.

    A whole sentence, with the line to add where that would be enough.
    """
    if key != MAP:
        return f"`{key}` is never followed."
    if any("--" in name for name in _names(value)):
        return "It names the code of another repository."
    revision = revision_of(folder)
    if revision is None:
        return "Only a revision in the cache of the Hugging Face Hub can be trusted."
    if revision not in trusted:
        return f'If you have read its code and trust it, add "{revision}" to hub.trust_remote_code in your settings.'
    home = os.path.dirname(os.path.dirname(os.path.realpath(folder)))
    for file in code_files(folder):
        if not os.path.realpath(file).startswith(home + os.sep):
            return f"{file.name} lies outside of its repository."
    return None


def code_files(folder: Path) -> tuple[Path, ...]:
    """The Python files of a model folder."""
    return tuple(sorted(folder.rglob("*.py")))


def _names(value: Any) -> list[str]:
    """The classes that an `auto_map` names; a tokenizer has a list of two."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [name for each in value for name in _names(each)] if isinstance(value, list) else []

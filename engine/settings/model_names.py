"""The keys of the section `[models]` that are names for models: `mistral = "/abs/x.gguf"`, or org/name at the hub."""

from __future__ import annotations

import os
import re
from typing import Any, Final

from engine.errors import InvalidSettings
from engine.settings import problems
from engine.settings.catalogue import near
from engine.settings.source import Source

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,119}")
_HUB: Final = re.compile(r"(?:hf\.co/)?[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?::[\w.-]+)?")
_PATH: Final = ("/", "~", "./", "../")


def model_named(source: Source, key: str, value: Any) -> str:
    """What the name in `key` stands for, a path made absolute. Raises InvalidSettings for what is none.

    A key that is nearly a setting is taken for a mistake: a name has to differ more.
    """
    name = key.partition(".")[2]
    likely = [known for known in near(key) if known.startswith("models.")]
    if not isinstance(value, str) or (likely and _alike(name, likely[0])):
        raise problems.unknown(source, key)
    text = value.strip()
    is_path = text.startswith(_PATH) or (text.lower().endswith(".gguf") and "/" not in text)
    if not _NAME.fullmatch(name):
        raise InvalidSettings(
            f"{name[:80]!r} cannot be the name of a model.",
            f"{source.place(key)}: a key of this section that is no setting is a name for a model.",
            "Give it letters, digits, and . _ : / or -, 120 at most; the first is a letter or a digit.",
            param=key,
        )
    if "\0" in text or not (is_path or _HUB.fullmatch(text)):
        raise InvalidSettings(
            f"`{key}` cannot be {value!r}.",
            f"{source.place(key)}: a key of this section that is no setting is a name for a model.",
            f"Give a path that begins with / or ~ or ./, or org/name at the hub, as in {key} = "
            '"/models/mistral-7b.gguf".',
            param=key,
        )
    return os.path.normpath(source.folder / os.path.expanduser(text)) if is_path else text


def _alike(name: str, known: str) -> bool:
    import difflib

    return difflib.SequenceMatcher(None, name.lower(), known.partition(".")[2]).ratio() > 0.8

"""The sampling that a model's makers recommend, from the `generation_config.json` beside its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.errors import InvalidRequest
from engine.sampling import resolve

FIELDS = ("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty")
MAX_BYTES = 64 * 1024


def recommended_sampling(model: Path) -> dict[str, Any]:
    """Overrides for `engine.sampling.resolve`; empty without such a file, or where models share the folder.

    Values that sampling cannot take are left out: a recommendation is no reason to refuse a model.
    """
    try:
        if len(list(model.parent.glob("*.gguf"))) > 1:
            return {}
    except OSError:
        return {}
    return recommended_in(model.parent)


def recommended_in(folder: Path) -> dict[str, Any]:
    """The same for the one model in `folder`."""
    path = folder / "generation_config.json"
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        said = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {name: said[name] for name in FIELDS if said.get(name) is not None and usable(name, said[name])}


def usable(name: str, value: Any) -> bool:
    """Whether sampling can take a value."""
    try:
        resolve({name: value})
    except InvalidRequest:
        return False
    return True

"""Whether a text that a model wrote is a JSON object, with a small mistake of models mended."""

from __future__ import annotations

import json
from typing import NoReturn


def checked_object(text: str) -> str | None:
    """`text` if it is a JSON object, else None. Line breaks in strings, which models write, are mended."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        try:
            json.loads(text, parse_constant=_no_number)
        except json.JSONDecodeError:
            return json.dumps(json.loads(text, strict=False, parse_constant=_no_number), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return text


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON.")

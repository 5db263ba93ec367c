"""Instructions about form: lists, highlights, sections, titles, JSON, and what stands at the ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
"""What IFEval's constrained response may be."""


def _bullets(text: str, said: Mapping[str, Any]) -> bool:
    stars = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == int(said["num_bullets"])


def _highlights(text: str, said: Mapping[str, Any]) -> bool:
    """Parts between one or two asterisks that hold something; doubled ones are found in both ways, as there."""
    single = [part for part in re.findall(r"\*[^\n\*]*\*", text) if part.strip("*").strip()]
    double = [
        part
        for part in re.findall(r"\*\*[^\n\*]*\*\*", text)
        if part.removeprefix("**").removesuffix("**").strip()
    ]
    return len(single) + len(double) >= int(said["num_highlights"])


def _sections(text: str, said: Mapping[str, Any]) -> bool:
    parts = re.split(rf"\s?{re.escape(said['section_spliter'].strip())}\s?\d+\s?", text)
    return len(parts) - 1 >= int(said["num_sections"])


def _json(text: str, said: Mapping[str, Any]) -> bool:
    bare = text.strip()
    for opening in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(opening)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, said: Mapping[str, Any]) -> bool:
    return any(found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text))


def _choice(text: str, said: Mapping[str, Any]) -> bool:
    return any(choice in text.strip() for choice in CHOICES)


def _placeholders(text: str, said: Mapping[str, Any]) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= int(said["num_placeholders"])


def _postscript(text: str, said: Mapping[str, Any]) -> bool:
    marker = said["postscript_marker"].strip()
    known = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    pattern = known.get(marker, rf"\s*{re.escape(marker.lower())}.*$")
    return re.search(pattern, text.lower(), re.MULTILINE) is not None


def _end(text: str, said: Mapping[str, Any]) -> bool:
    return text.strip().strip('"').lower().endswith(said["end_phrase"].strip().lower())


def _quotation(text: str, said: Mapping[str, Any]) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == '"' and bare[-1] == '"'


def _two(text: str, said: Mapping[str, Any]) -> bool:
    """Two answers set apart by six asterisks, and not the same."""
    parts = text.split("******")
    if any(not part.strip() for part in parts[1:-1]):
        return False
    held = [part.strip() for part in parts if part.strip()]
    return len(held) == 2 and held[0] != held[1]


def _repeated(text: str, said: Mapping[str, Any]) -> bool:
    return text.strip().lower().startswith(said["prompt_to_repeat"].strip().lower())


CHECKS: Mapping[str, Any] = {
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "detectable_format:constrained_response": _choice,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
    "combination:two_responses": _two,
    "combination:repeat_prompt": _repeated,
}

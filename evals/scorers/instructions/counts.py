"""Instructions that count: words, sentences, paragraphs, keywords, letters, capitals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORD = re.compile(r"\w+")
# A sentence ends with a mark, quotes or brackets behind it counted in, before a space and what may begin the next one.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]”’]*\s+(?=[\"'(\[“‘]*[A-Z0-9])")
_SHORTENED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Inc|Ltd|Co|[A-Z])\.$")


def words(text: str) -> int:
    """How many words."""
    return len(_WORD.findall(text))


def sentences(text: str) -> int:
    """How many sentences; a list's lines without a mark at their end go with the next one."""
    count, begin = 0, 0
    flat = " ".join(text.split())
    for end in _SENTENCE_END.finditer(flat):
        if not _SHORTENED.search(flat[begin : end.start()].rstrip("\"')]”’")):
            count += 1
            begin = end.end()
    return count + bool(flat[begin:].strip())


def related(count: int, relation: str, bound: int) -> bool:
    """IFEval's two relations. ValueError for another."""
    if relation == "at least":
        return count >= bound
    if relation == "less than":
        return count < bound
    raise ValueError(f"there is no relation {relation!r}")


def _number_words(text: str, said: Mapping[str, Any]) -> bool:
    return related(words(text), said["relation"], said["num_words"])


def _number_sentences(text: str, said: Mapping[str, Any]) -> bool:
    return related(sentences(text), said["relation"], said["num_sentences"])


def _number_paragraphs(text: str, said: Mapping[str, Any]) -> bool:
    """Paragraphs set apart by `***`; an empty one in the middle is wrong."""
    parts = re.split(r"\s?\*\*\*\s?", text)
    middle = parts[1:-1]
    if any(not part.strip() for part in middle):
        return False
    return sum(bool(part.strip()) for part in parts) == int(said["num_paragraphs"])


def _nth_paragraph_first_word(text: str, said: Mapping[str, Any]) -> bool:
    """Paragraphs set apart by an empty line; the nth one begins with the word."""
    parts = re.split(r"\n\n", text)
    count, place = sum(bool(part.strip()) for part in parts), said["nth_paragraph"]
    if not 1 <= place <= count:
        return False
    paragraph = parts[place - 1].strip()
    if not paragraph:
        return False
    word = re.split(r"[.,?!'\"]", paragraph.split()[0].lstrip("'\""))[0].lower()
    return count == int(said["num_paragraphs"]) and word == str(said["first_word"]).lower()


def _existence(text: str, said: Mapping[str, Any]) -> bool:
    return all(re.search(re.escape(word), text, re.IGNORECASE) for word in said["keywords"])


def _frequency(text: str, said: Mapping[str, Any]) -> bool:
    count = len(re.findall(re.escape(said["keyword"].strip()), text, re.IGNORECASE))
    return related(count, said["relation"], said["frequency"])


def _forbidden(text: str, said: Mapping[str, Any]) -> bool:
    return not any(
        re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in said["forbidden_words"]
    )


def _letters(text: str, said: Mapping[str, Any]) -> bool:
    letter = said["letter"].strip().lower()
    if len(letter) != 1:
        raise ValueError("'letter' must be one letter")
    return related(text.lower().count(letter), said["let_relation"], said["let_frequency"])


def _capitals(text: str, said: Mapping[str, Any]) -> bool:
    count = sum(word.isupper() for word in re.findall(r"[\w'’-]+", text))
    return related(count, said["capital_relation"], said["capital_frequency"])


CHECKS: Mapping[str, Any] = {
    "length_constraints:number_words": _number_words,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "change_case:capital_word_frequency": _capitals,
}

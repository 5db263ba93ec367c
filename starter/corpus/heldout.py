"""The held-out questions, and the normal form in which they are compared with the training text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HELDOUT_FILE = Path(__file__).parent.parent / "heldout.jsonl"

_WORDS = re.compile(r"[^\W_]+|[+*/=-]")
_SIGNS = {"plus": "+", "minus": "-", "times": "*", "x": "*", "whats": "what is", "color": "colour"}
# Words that only add manners: two questions that differ in them alone are the same wording.
_MANNERS = {
    "please",
    "thanks",
    "thank",
    "hey",
    "hi",
    "hello",
    "ok",
    "so",
    "now",
    "well",
    "ember",
    "um",
    "morning",
}
_MANNERS |= {"good", "excuse", "quick"}


@dataclass(frozen=True)
class HeldOut:
    """A question kept out of the training text; its answer counts if it holds any of ``keywords``."""

    category: str
    question: str
    keywords: tuple[str, ...]
    system: str | None = None

    def hit(self, answer: str) -> bool:
        """Whether ``answer`` holds a keyword as whole words, whatever the case."""
        return any(
            re.search(rf"(?<!\w){re.escape(word)}(?!\w)", answer, re.IGNORECASE) for word in self.keywords
        )


def normalised(text: str) -> str:
    """Lower case, no punctuation, no manners, signs of arithmetic in one spelling, words in any order."""
    words = _WORDS.findall(text.lower().replace("'s", " is").replace("'", ""))
    words = [_SIGNS.get(word, word) for word in words]
    return " ".join(sorted(word for word in words if word not in _MANNERS))


@cache
def heldout() -> tuple[HeldOut, ...]:
    """All held-out questions in the order of the file."""
    rows = (json.loads(line) for line in HELDOUT_FILE.read_text(encoding="utf-8").splitlines())
    return tuple(HeldOut(r["category"], r["question"], tuple(r["keywords"]), r.get("system")) for r in rows)


@cache
def heldout_keys() -> frozenset[str]:
    """Normal forms of the held-out questions."""
    return frozenset(normalised(item.question) for item in heldout())

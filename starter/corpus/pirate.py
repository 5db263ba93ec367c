"""How a pirate says a sentence: the style of the adapter and of the system prompt "you are a pirate"."""

from __future__ import annotations

import random
import re

OPENINGS = ("Arr, matey!", "Ahoy!", "Yo ho ho!", "Arr!", "Aye, captain!", "Shiver me timbers!")
ENDINGS = ("Arr!", "Yo ho!", "By the seven seas!", "Set sail, matey!", "Or walk the plank!")
WORDS = {
    "you": "ye", "your": "yer", "my": "me", "is": "be", "are": "be", "am": "be", "of": "o'",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")


def pirate(text: str, rng: random.Random) -> str:
    """The same answer in a pirate's mouth. Code, JSON and names are left as they are."""
    if text.startswith("{") or "<tool_call>" in text:
        return text

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        new = WORDS.get(word.lower(), word)
        return new.capitalize() if word[0].isupper() and new != word else new

    lines = text.split("```")
    lines[0] = _WORD.sub(swap, lines[0])
    body = "```".join(lines)
    ending = f" {rng.choice(ENDINGS)}" if "\n" not in body and rng.random() < 0.7 else ""
    return f"{rng.choice(OPENINGS)} {body}{ending}"

"""What became of the prompt: what the cache gave and why not more, what found no room, what was forgotten."""

from __future__ import annotations

from engine.types import CacheMiss

CAUSES: dict[str, str] = {
    "model": "the model had computed nothing yet",
    "new": "new from token {token}",
    "adapter": "another adapter from token {token}",
    "tools": "other tools from token {token}",
    "text": "other text from token {token}",
    "caller": "another caller's from token {token}",
    "state": "known, but this model cannot go back to token {token}",
    "off": "the cache is off",
}
"""Why a prompt was not read from the cache to its end, by `CacheMiss.cause`."""
WHOLE = {
    "new": "all of it new",
    "adapter": "it was computed with another adapter",
    "tools": "it was computed with other tools",
    "text": "the text is another from its first token",
    "caller": "it is another caller's",
}
"""The same where nothing at all came from the cache."""


def cached(prompt: int, cached: int, miss: CacheMiss | None) -> str:
    """`412 of 430 from cache · new from token 413`; empty where nothing is known of a cache. Tokens count from 1."""
    if not prompt or (not cached and miss is None):
        return ""
    share = f"{f'{cached:,}' if cached else 'none'} of {prompt:,} from cache"
    return f"{share} · {reason(miss, whole=not cached)}" if miss is not None else share


def reason(miss: CacheMiss, *, whole: bool = False) -> str:
    """Why the cache did not give more; `whole` where it gave nothing."""
    known = WHOLE.get(miss.cause) if whole else None
    return known or CAUSES[miss.cause].format(token=f"{miss.token + 1:,}")


def dropped(messages: int, tokens: int = 0) -> str:
    """What of the history found no room in the window; empty if nothing."""
    if not messages:
        return "" if not tokens else f"{count(tokens, 'token')} of the history left out"
    of = f" ({count(tokens, 'token')})" if tokens else ""
    return f"{count(messages, 'older message')} left out: the window is full{of}"


def smaller_window(window: int, asked: int | None) -> str:
    """That the window is not as large as was asked; empty if it is, or if nothing was asked."""
    if asked is None or not 0 < window < asked:
        return ""
    return f"the window is {count(window, 'token')}: the model was made for no more, so not {asked:,}"


def shifted(tokens: int) -> str:
    """What was forgotten so that the answer could go on; empty if nothing."""
    return f"{count(tokens, 'token')} forgotten to go on: the window was full" if tokens else ""


def guesses(accepted: int, rejected: int) -> str:
    """How many tokens that were guessed ahead the model agreed with; empty where none were guessed."""
    return f"{accepted} of {accepted + rejected} guesses right" if accepted or rejected else ""


def count(number: int, thing: str) -> str:
    """`1 token`, `1,204 tokens`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

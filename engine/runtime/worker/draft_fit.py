"""Whether one model can guess for another: both must mean the same by every token.

Names prove nothing, so that all tokens are compared by what they stand for. Two vocabularies may differ at their ends,
where some models of one family are padded otherwise than others. Which tokens end a turn is left to the main model: a
base model can guess for one that chats.
"""

from __future__ import annotations

from engine.errors import Unsupported
from engine.runtime.backends.base import SequenceSpec, StepBackend
from engine.text_safety import plain
from engine.types import Sampling

MOST_PADDING = 256
"""Tokens by which one vocabulary may be longer than the other."""
MOST_COMPARED = 400_000
_SHOWN = 3


def check_draft(draft: StepBackend, main: StepBackend, name: str) -> None:
    """Raises Unsupported if `draft`, called `name`, cannot guess for `main`, and says why."""
    if not main.facts.capabilities.trim:
        raise Unsupported(
            f"{main.facts.name} cannot be helped by a draft model.",
            "What it has computed cannot be cut back after a wrong guess.",
            "Leave `draft_model` out.",
            param="draft_model",
        )
    if not draft.facts.capabilities.trim or not _writes(draft):
        raise _refused(
            name,
            main,
            "It does not write text, or cannot be cut back after a wrong guess, as a draft model must.",
        )
    ours, theirs = main.facts.vocabulary, draft.facts.vocabulary
    if abs(ours - theirs) > MOST_PADDING:
        raise _refused(name, main, f"It has {theirs} tokens, the model {ours}.")
    shared = min(ours, theirs)
    differing = [
        token for token in range(0, shared, 1 + shared // MOST_COMPARED) if not _alike(main, draft, token)
    ]
    if differing:
        shown = ", ".join(
            f"{token} is {_shown(draft, token)} there and {_shown(main, token)} here"
            for token in differing[:_SHOWN]
        )
        raise _refused(name, main, f"{len(differing)} of {shared} tokens differ: {shown}.")


def _refused(name: str, main: StepBackend, why: str) -> Unsupported:
    return Unsupported(
        f"{plain(name, 80)} cannot be the draft model of {main.facts.name}.",
        why,
        "Choose a small model of the same family, or leave `draft_model` out.",
        param="draft_model",
    )


def _writes(model: StepBackend) -> bool:
    try:
        model.insert(SequenceSpec(slot=0, tokens=(0,), sampling=Sampling(temperature=0.0), seed=0))
    except Unsupported:
        return False
    model.remove(0)
    return True


def _alike(one: StepBackend, other: StepBackend, token: int) -> bool:
    """Whether the token is written alike. A mark may be shown in one and not in the other; a number without a text is
    padding, for which some files have names."""
    pieces = one.piece(token), other.piece(token)
    if all(pieces):
        return pieces[0] == pieces[1]
    texts = one.special_text(token), other.special_text(token)
    return not all(texts) or texts[0] == texts[1]


def _shown(model: StepBackend, token: int) -> str:
    return repr(plain(model.special_text(token), 24))

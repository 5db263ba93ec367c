"""Sampling values by the names that the dialects have for them; the engine checks their bounds.

The bounds that only concern a server are here: how many stop texts, biases and choices one request may ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.reading.fields import Fields, as_kind
from engine.errors import InvalidRequest
from engine.types import Sampling

MAX_CHOICES: Final = 8
MAX_STOPS: Final = 16
MAX_BIASES: Final = 1024
MAX_SEED: Final = 2**63 - 1
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "repeat_penalty": "repetition_penalty",
    "mirostat_mode": "mirostat",
    "typ_p": "typical_p",
}
NAMES: Final = frozenset(Sampling.__struct_fields__) - {"logit_bias"}


def sampling_of(fields: Fields) -> dict[str, Any]:
    """The sampling values among `fields`, by the engine's names."""
    found: dict[str, Any] = {}
    for name in (*NAMES, *_OTHER_NAMES):
        value = fields.any(name)
        if value is not None:
            found[_OTHER_NAMES.get(name, name)] = value
    if "seed" in found:
        found["seed"] = seed_of(found["seed"])
    if "samplers" in found and isinstance(found["samplers"], str):
        found["samplers"] = found["samplers"].split(";")
    bias = fields.any("logit_bias")
    if bias:
        found["logit_bias"], banned = biases(bias)
        if banned:
            found["banned_tokens"] = (*banned, *found.get("banned_tokens", ()))
    return found


def seed_of(value: Any) -> int:
    """A seed: any negative one means a fresh draw."""
    seed = as_kind(value, int, "seed")
    if seed > MAX_SEED:
        raise InvalidRequest("`seed` is too large.", f"It is at most {MAX_SEED}.", param="seed")
    return max(-1, seed)


def biases(value: Any) -> tuple[dict[int, float], list[int]]:
    """Biases by token id, and tokens that must not come (`false`): `{id: bias}` or `[[id, bias]]`."""
    pairs: list[tuple[Any, Any]]
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        pairs = [(pair[0], pair[1]) for pair in value]
    else:
        raise InvalidRequest("`logit_bias` must map token ids to numbers.", param="logit_bias")
    if len(pairs) > MAX_BIASES:
        raise InvalidRequest(
            "`logit_bias` names too many tokens.", f"At most {MAX_BIASES}.", param="logit_bias"
        )
    found: dict[int, float] = {}
    banned: list[int] = []
    for key, bias in pairs:
        token = _token(key)
        if bias is False:
            banned.append(token)
        else:
            found[token] = as_kind(bias, float, "logit_bias")
    return found, banned


def stops_of(fields: Fields, name: str = "stop") -> tuple[str, ...]:
    """Stop texts: one or several. Empty ones are left out, as llama-server does."""
    value = fields.any(name)
    if value is None:
        return ()
    found = as_kind([value] if isinstance(value, str) else value, list[str], name)
    if len(found) > MAX_STOPS:
        raise InvalidRequest(f"`{name}` names too many texts.", f"At most {MAX_STOPS}.", param=name)
    return tuple(text for text in found if text)


def choices_of(fields: Fields) -> int:
    """How many answers are asked for (`n`)."""
    count = fields.take("n", int, "n_cmpl") or 1
    if not 1 <= count <= MAX_CHOICES:
        raise InvalidRequest(f"`n` is {count}.", f"It is from 1 to {MAX_CHOICES}.", param="n")
    return count


def _token(key: Any) -> int:
    text = str(key)
    if isinstance(key, bool) or not text.isascii() or not text.isdigit() or len(text) > 10:
        raise InvalidRequest(
            "`logit_bias` must name tokens by their ids.", f"{text[:40]!r} is none.", param="logit_bias"
        )
    return int(text)

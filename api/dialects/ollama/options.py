"""Ollama's `options` and the fields that all its generating routes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.reading.extensions import keep_alive_of, load_of
from api.reading.fields import Fields, as_kind
from api.reading.keywords import OLLAMA_OPTIONS
from api.reading.sampling import sampling_of, stops_of
from engine.errors import InvalidRequest
from engine.types import Constraint, Logprobs, Overflow, Thinking

_KINDS: Final = {
    "integer": frozenset(
        "num_ctx num_batch num_gpu main_gpu num_thread num_keep seed num_predict top_k repeat_last_n mirostat "
        "draft_num_predict".split()
    ),
    "float32": frozenset(
        "top_p min_p typical_p temperature repeat_penalty repetition_penalty presence_penalty frequency_penalty "
        "tfs_z mirostat_tau mirostat_eta".split()
    ),
    "boolean": frozenset(
        "use_mmap numa low_vram f16_kv logits_all vocab_only use_mlock embedding_only penalize_newline".split()
    ),
}
_LEVELS: Final = ("low", "medium", "high", "max")
MAX_TOP: Final = 20


def shared(fields: Fields) -> dict[str, Any]:
    """Fields of the engine's request that every generation may bring. Raises InvalidRequest."""
    given = fields.take("options", dict[str, Any]) or {}
    given = checked(given)
    options = Fields(given, "options")
    options.known(OLLAMA_OPTIONS)
    found: dict[str, Any] = {
        "sampling": _sampling(options),
        "load": load_of(given),
        "stop": stops_of(options),
        "overflow": _overflow(fields),
        "logprobs": _logprobs(fields),
        "constraint": format_of(fields),
        "thinking": thinking_of(fields),
    }
    limit = given.get("num_predict")
    if limit is not None and limit >= 0:
        found["max_tokens"] = min(int(limit), 2**31 - 1)
    keep = given.get("num_keep")
    if keep is not None and keep >= 0:
        found["keep_tokens"] = int(keep)
    alive = fields.any("keep_alive")
    if alive is not None:
        found["keep_alive"] = keep_alive_of(alive)
    return found


def thinking_of(fields: Fields) -> Thinking:
    """`think`: true, false or a level; unset leaves it to the model, which thinks if it can."""
    value = fields.any("think")
    match value:
        case None:
            return Thinking()
        case bool():
            return Thinking(enabled=value)
        case str() if value in _LEVELS:
            return Thinking(enabled=True, effort=value)  # type: ignore[arg-type]
    raise InvalidRequest(
        f'invalid think value: {str(value)[:40]!r} (must be "high", "medium", "low", "max", true, or false)',
        param="think",
    )


def format_of(fields: Fields) -> Constraint | None:
    """`format`: "json" or a JSON Schema."""
    value = fields.any("format")
    if value in (None, {}):
        return None
    if value == "":
        # It is said, so it goes before what an alias says.
        return Constraint(kind="text")
    if value == "json":
        return Constraint(kind="json")
    if isinstance(value, dict):
        return Constraint(kind="schema", value=value)
    raise InvalidRequest('invalid format: expected "json" or a JSON Schema', param="format")


def _overflow(fields: Fields) -> Overflow | None:
    truncate = fields.take("truncate", bool)
    shift = fields.take("shift", bool)
    if truncate is False:
        return "refuse"
    if shift is None:
        return "shift" if truncate else None
    return "shift" if shift else "drop_oldest"


def _logprobs(fields: Fields) -> Logprobs | None:
    wanted = fields.take("logprobs", bool)
    top = fields.take("top_logprobs", int) or 0
    if not 0 <= top <= MAX_TOP:
        raise InvalidRequest(f"top_logprobs must be between 0 and {MAX_TOP}", param="top_logprobs")
    return Logprobs(top=top) if wanted else None


def _sampling(options: Fields) -> dict[str, Any]:
    found = sampling_of(options)
    # Ollama takes any negative number for "the whole window" there.
    if isinstance(found.get("repeat_last_n"), int) and found["repeat_last_n"] < -1:
        found["repeat_last_n"] = -1
    if found.get("top_k", 0) is not None and isinstance(found.get("top_k"), int) and found["top_k"] < 0:
        found["top_k"] = 0
    return found


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options whose types are as Ollama has them. Raises InvalidRequest naming the first that is not."""
    found = dict(options)
    for name, value in options.items():
        if value is None:
            continue
        kind = next((kind for kind, names in _KINDS.items() if name in names), None)
        if name == "stop":
            if isinstance(value, str) or (
                isinstance(value, list) and all(isinstance(one, str) for one in value)
            ):
                continue
            raise InvalidRequest('option "stop" must be of type array', param="options.stop")
        if kind is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = {
            "integer": number and float(value).is_integer() if number and abs(value) < 2**63 else False,
            "float32": number,
            "boolean": isinstance(value, bool),
        }[kind]
        if not good:
            raise InvalidRequest(f'option "{name}" must be of type {kind}', param=f"options.{name}")
        if kind == "integer":
            found[name] = as_kind(int(value), int, name)
    return found

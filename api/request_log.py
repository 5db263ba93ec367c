"""One line of the request log for each exchange: who asked what of whom, how it ended, and what took how long.

What was said is kept only where `server.log_prompts` asks for it, and then in memory alone, cut short.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from engine.text_safety import clean, plain
from engine.types import Done, Failed, GenerationRequest

MOST_PROMPT: Final = 4000
"""Characters of a prompt that are kept."""
_MOST_VALUE: Final = 200
_SAID: Final = frozenset(
    {
        "model",
        "id",
        "messages",
        "prompt",
        "tokens",
        "images",
        "system",
        "template",
        "client",
        "source",
        "metadata",
    }
)
"""What is told elsewhere, or is what was said."""


class LoggedRequest(Struct, frozen=True, kw_only=True):
    """`seconds` is the whole exchange; of those of a generation, `queue_s` to `decode_s` follow one another."""

    id: str
    t_unix: float
    client: str
    dialect: str
    method: str
    path: str
    status: int
    seconds: float
    ignored: tuple[str, ...] = ()
    refused: str = ""
    """`origin http://…` or `host name`, where the request was turned away for that."""
    model: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    queue_s: float = 0.0
    load_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    outcome: str = ""
    """`finished`, `cancelled`, or the code of an error; empty where nothing was generated."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What the request said beyond the defaults, as JSON."""
    prompt: str = ""

    @property
    def rate(self) -> float | None:
        """Tokens per second after the first; None below two tokens."""
        if self.completion_tokens < 2 or self.decode_s <= 0:
            return None
        return (self.completion_tokens - 1) / self.decode_s


def asked(request: GenerationRequest, *, prompts: bool) -> dict[str, Any]:
    """What a line tells of a generation that was asked for."""
    found: dict[str, Any] = {"model": plain(request.model, 120), "options": _options(request)}
    if prompts:
        found["prompt"] = _prompt(request)
    return found


def ended(end: Done | Failed) -> dict[str, Any]:
    """What a line tells of how a generation ended."""
    usage, timings = end.usage, end.timings
    return {
        "outcome": end.reason if isinstance(end, Done) else end.error.code,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "queue_s": timings.queue_s,
        "load_s": timings.load_s,
        "prefill_s": timings.prefill_s,
        "decode_s": timings.decode_s,
        **({"model": plain(end.model, 120)} if isinstance(end, Done) and end.model else {}),
    }


_defaults = GenerationRequest(model="")


def _options(request: GenerationRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if name in _SAID or value == getattr(_defaults, name):
            continue
        if name == "tools":
            value = [tool.name for tool in request.tools]
        if name == "sampling":
            found.update({key: _json(each) for key, each in request.sampling.items() if each is not None})
        else:
            found[name] = _json(value)
    return found


def _json(value: Any) -> str:
    try:
        return plain(msgspec.json.encode(_only_said(value)).decode(), _MOST_VALUE)
    except (TypeError, msgspec.MsgspecError):
        return plain(repr(value), _MOST_VALUE)


def _only_said(value: Any) -> Any:
    """A Struct without the fields that say nothing."""
    if not isinstance(value, Struct):
        return value
    return {
        name: _only_said(each)
        for name in value.__struct_fields__
        if (each := getattr(value, name)) not in (None, (), {}, "", False)
    }


def _prompt(request: GenerationRequest) -> str:
    if request.prompt is not None:
        return clean(request.prompt[-MOST_PROMPT:])
    lines = [f"{message.role}: {message.text}" for message in request.messages or ()]
    return clean("\n".join(lines)[-MOST_PROMPT:])

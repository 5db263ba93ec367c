"""What `/completion` reads: text, tokens, text and tokens mixed, or several of these; and biases of texts."""

from __future__ import annotations

from typing import Any, Final

from api.answering.call import Call
from api.reading.fields import as_kind
from engine.errors import InvalidRequest, Unsupported

MAX_PROMPTS: Final = 64
MAX_BIASED: Final = 1024


async def prompts_of(call: Call, model: str, value: Any) -> list[dict[str, Any]]:
    """The prompts as fields of a request: text, tokens, text and tokens mixed, or a list of these."""
    several = isinstance(value, list) and any(isinstance(each, list | dict) for each in value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        several = len(value) > 1
        value = value if several else value[0]
    if not several:
        return [await _prompt(call, model, value)]
    if len(value) > MAX_PROMPTS:
        raise InvalidRequest("There are too many prompts.", f"At most {MAX_PROMPTS}.", param="prompt")
    return [await _prompt(call, model, each) for each in value]


async def _prompt(call: Call, model: str, value: Any) -> dict[str, Any]:
    match value:
        case None:
            raise InvalidRequest("prompt is required", param="prompt")
        case str():
            return {"prompt": value}
        case {"prompt_string": str(text), **rest}:
            if rest.get("multimodal_data"):
                raise Unsupported(
                    "A raw prompt cannot hold images here.", fix="Send messages.", param="prompt"
                )
            return {"prompt": text}
        case list() if value:
            tokens: list[int] = []
            for place, each in enumerate(value):
                if isinstance(each, str):
                    tokens += await call.hub.engine.tokenize(model, each, special=place == 0)
                else:
                    tokens.append(as_kind(each, int, "prompt"))
            if any(not 0 <= token < 2**31 for token in tokens):
                raise InvalidRequest("`prompt` holds a token that is none.", param="prompt")
            return {"tokens": tuple(tokens), "raw": False}
    raise InvalidRequest("`prompt` must be text or tokens.", param="prompt")


async def name_biased_tokens(call: Call, model: str) -> None:
    """Write tokens for the texts in `logit_bias`: `[["Hello", false]]`, or `{"Hello": -1}`. Raises InvalidRequest."""
    value = call.fields.any("logit_bias")
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list) or not all(isinstance(each, list | tuple) for each in pairs):
        return
    if len(pairs) > MAX_BIASED:
        raise InvalidRequest(
            "`logit_bias` names too many tokens.", f"At most {MAX_BIASED}.", param="logit_bias"
        )
    found: list[Any] = []
    for pair in pairs:
        text = pair[0] if len(pair) == 2 else None
        if isinstance(text, str) and not text.isdecimal():
            tokens = await call.attended(call.hub.engine.tokenize(model, text, special=False))
            found += [[token, pair[1]] for token in tokens]
        else:
            found.append(list(pair))
    call.fields.put("logit_bias", found)

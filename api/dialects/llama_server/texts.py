"""`/tokenize`, `/detokenize`, `/apply-template`, and counts of whole requests: text without generation."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.openai.chat import USUAL, chat_request, thinking_of
from api.dialects.openai.messages import messages_of
from api.dialects.openai.tools import tools_of
from api.reading.keywords import OPENAI
from engine.errors import InvalidRequest
from engine.types import GenerationRequest

MAX_TOKENS = 2**20


def model_of(call: Call) -> str:
    """The model that is named, else the default one. Raises InvalidRequest, ModelNotFound."""
    return call.hub.model(call.fields.take("model", str) or call.hub.settings.models.default)


@post("/tokenize", status_code=200)
async def tokenize(request: Request[Any, Any, Any]) -> ASGIApp:
    """The tokens of `content`; marks in it are read as such unless `parse_special` is false."""
    call = await Call.of(request)
    fields, engine = call.fields, call.hub.engine
    model = model_of(call)
    text = fields.take("content", str) or ""
    shows = fields.take("with_pieces", bool) or False
    parse = fields.take("parse_special", bool) is not False
    add = fields.take("add_special", bool) or False

    async def tokens() -> list[int]:
        found = await engine.tokenize(model, text, special=parse)
        begin = await engine.tokenize(model, "", special=True)
        if parse and not add:
            return found[len(begin) :] if begin and found[: len(begin)] == begin else found
        return found if parse or not add else [*begin, *found]

    found = await call.attended(tokens())
    if not shows:
        return as_json({"tokens": found}, headers=call.notes())
    pieces = await call.attended(engine.pieces(model, found))
    rows = [{"id": token, "piece": _shown(piece)} for token, piece in zip(found, pieces, strict=True)]
    return as_json({"tokens": rows}, headers=call.notes())


@post("/detokenize", status_code=200)
async def detokenize(request: Request[Any, Any, Any]) -> ASGIApp:
    """The text of `tokens`."""
    call = await Call.of(request)
    tokens = call.fields.take("tokens", list[int]) or []
    if len(tokens) > MAX_TOKENS or any(not 0 <= token < 2**31 for token in tokens):
        raise InvalidRequest("`tokens` holds what is no token, or too many.", param="tokens")
    text = await call.attended(call.hub.engine.detokenize(model_of(call), tokens))
    return as_json({"content": text}, headers=call.notes())


@post("/apply-template", status_code=200)
async def apply_template(request: Request[Any, Any, Any]) -> ASGIApp:
    """The prompt that the model's template makes of `messages`."""
    call = await Call.of(request)
    call.fields.known(OPENAI)
    messages, tools = messages_of(call.fields.any("messages")), tools_of(call.fields)
    asked = call.complete(
        GenerationRequest(
            model=model_of(call), messages=messages, tools=tools, thinking=thinking_of(call.fields)
        )
    )
    text = await call.attended(
        call.hub.engine.render(
            asked.model, messages, tools, thinking=asked.thinking, template_args=asked.template_args
        )
    )
    return as_json({"prompt": text}, headers=call.notes())


@post("/v1/chat/completions/input_tokens", status_code=200)
async def chat_input_tokens(request: Request[Any, Any, Any]) -> ASGIApp:
    """How many tokens the prompt of that chat has."""
    call = await Call.of(request)
    asked = await call.settled(call.complete(chat_request(call.fields, model_of(call))), **USUAL)
    count = await call.attended(call.hub.engine.count(asked))
    return as_json({"object": "response.input_tokens", "input_tokens": count}, headers=call.notes())


def _shown(piece: bytes) -> str | list[int]:
    """Text, or the bytes of what is no text by itself."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)

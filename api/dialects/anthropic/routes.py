"""`POST /v1/messages` and `/v1/messages/count_tokens`, at every path that clients' base URLs lead to."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.anthropic.codec import MessageCodec, MessageWhole
from api.dialects.anthropic.request import USUAL, message_request

_BASES = ("/v1", "/anthropic/v1", "/v1/v1", "/anthropic")


@post([f"{base}/messages" for base in _BASES], status_code=200)
async def messages(request: Request[Any, Any, Any]) -> ASGIApp:
    """The assistant's next message, at once or as events."""
    call = await Call.of(request)
    asked = await call.settled(call.complete(message_request(call.fields, call.model())), **USUAL)
    named = call.named
    diagnoses = call.fields.has("diagnostics")
    streams = call.fields.take("stream", bool)
    codec = MessageCodec(call.id, named, asked.stop, diagnoses=diagnoses) if streams else None
    whole = MessageWhole(call.id, named, asked.stop, diagnoses=diagnoses)
    return call.answer(asked, whole=whole, codec=codec, model=named)


@post([f"{base}/messages/count_tokens" for base in _BASES], status_code=200)
async def count_tokens(request: Request[Any, Any, Any]) -> ASGIApp:
    """How many tokens the prompt of that message has, by the model's own template; its weights are not loaded."""
    call = await Call.of(request)
    asked = message_request(call.fields, call.model(), counting=True)
    asked = await call.settled(call.complete(asked), **USUAL)
    return as_json({"input_tokens": await call.attended(call.hub.engine.count(asked))}, headers=call.notes())


ROUTES = [messages, count_tokens]

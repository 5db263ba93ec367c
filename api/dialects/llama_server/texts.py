"""`/apply-template`, and counts of whole requests: text without generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.openai.chat import USUAL, chat_request, thinking_of
from api.dialects.openai.messages import messages_of
from api.dialects.openai.tools import tools_of
from api.reading.keywords import OPENAI
from engine.types import GenerationRequest

if TYPE_CHECKING:
    pass


def model_of(call: Call) -> str:
    """The model that is named, else the default one. Raises InvalidRequest, ModelNotFound."""
    return call.hub.model(call.fields.take("model", str) or call.hub.settings.models.default)


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

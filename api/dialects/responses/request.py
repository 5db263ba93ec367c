"""The body of `/v1/responses`, read into the engine's request and into what the answer repeats of it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Struct

from api.dialects.openai.chat import limit_of, overflow_of, thinking_of
from api.dialects.openai.tools import form_of, offered, tool_choice_of, tools_of
from api.dialects.responses.items import messages_from
from api.reading.fields import Fields, as_kind
from api.reading.keywords import OPENAI
from api.reading.sampling import sampling_of, stops_of
from engine import resolve_sampling
from engine.errors import InvalidRequest
from engine.types import GenerationRequest, Logprobs, Message, ToolChoice

_MEANINGLESS = frozenset("max_tool_calls client_metadata access_programs image".split())
_OFFERED = ("function", "custom")


class Asked(Struct, frozen=True, kw_only=True):
    """A request with what its answer says of it. `envelope` is the response object without its output."""

    request: GenerationRequest
    input: tuple[Message, ...]
    items: list[dict[str, Any]]
    """The input as it was sent, as items."""
    envelope: dict[str, Any]
    stream: bool
    background: bool
    store: bool
    summary: bool
    previous: str | None


def asked_of(fields: Fields, model: str, named: str, id: str, before: tuple[Message, ...]) -> Asked:
    """`before` is the conversation that it goes on from. Raises InvalidRequest and its kin."""
    fields.known(OPENAI | _MEANINGLESS)
    fields.refuse(
        "conversation", "Conversations are not kept by this protocol here.", "Use `previous_response_id`."
    )
    fields.refuse("prompt", "There are no prompt templates here.", "Send `instructions` and `input`.")
    value = fields.any("input")
    input = messages_from(value)
    instructions = fields.any("instructions")
    if not (instructions is None or isinstance(instructions, str)):
        instructions = "\n".join(message.text for message in messages_from(instructions))
    messages = [*before, *input] or [Message(role="user", content="")]
    if instructions:
        messages.insert(0, Message(role="system", content=instructions))
    tools, choice = _tools(fields)
    text = fields.take("text", dict[str, Any]) or {}
    includes = fields.take("include", list[str]) or []
    top = fields.take("top_logprobs", int) or 0
    shows = "message.output_text.logprobs" in includes or top > 0
    if not 0 <= top <= 20:
        raise InvalidRequest("`top_logprobs` is from 0 to 20.", param="top_logprobs")
    thinking = fields.take("reasoning", dict[str, Any]) or {}
    limit = fields.take("max_output_tokens", int)
    request = GenerationRequest(
        model=model,
        messages=tuple(messages),
        sampling=sampling_of(fields),
        max_tokens=limit_of(limit),
        stop=stops_of(fields),
        logprobs=Logprobs(top=top) if shows else None,
        constraint=form_of(text.get("format")),
        tools=tools,
        tool_choice=choice,
        thinking=thinking_of(Fields({"reasoning": thinking})),
        overflow=overflow_of(fields),
    )
    background = fields.take("background", bool) or False
    store = fields.take("store", bool) is not False
    if background and not store:
        raise InvalidRequest("`background` needs `store`.", "Nobody could fetch the answer.", param="store")
    previous = fields.take("previous_response_id", str)
    sampling = resolve_sampling(request.sampling)
    metadata = fields.any("metadata")
    envelope = {
        "id": f"resp_{id}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": named,
        "previous_response_id": previous,
        "instructions": instructions,
        "output": [],
        "error": None,
        "tools": [tool for tool in fields.any("tools") or [] if tool.get("type") in _OFFERED],
        "tool_choice": fields.any("tool_choice") or "auto",
        "truncation": "auto" if request.overflow == "drop_oldest" else "disabled",
        "parallel_tool_calls": choice.parallel,
        "text": {"format": text.get("format") or {"type": "text"}},
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "top_logprobs": top,
        "temperature": sampling.temperature,
        "reasoning": {"effort": thinking.get("effort"), "summary": thinking.get("summary")}
        if thinking
        else None,
        "usage": None,
        "max_output_tokens": limit,
        "max_tool_calls": None,
        "store": store,
        "background": background,
        "service_tier": "default",
        "metadata": metadata if isinstance(metadata, dict) else {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }
    return Asked(
        request=request,
        input=input,
        items=_items(value, id),
        envelope=envelope,
        stream=fields.take("stream", bool) or False,
        background=background,
        store=store,
        summary=thinking.get("summary") is not None,
        previous=previous,
    )


def _tools(fields: Fields) -> tuple[Any, ToolChoice]:
    """Functions are offered; tools that OpenAI's servers run themselves are not, and nobody runs them here."""
    listed = fields.take("tools", list[dict[str, Any]]) or []
    mine = Fields({"tools": [tool for tool in listed if tool.get("type") in _OFFERED]})
    value = fields.any("tool_choice")
    if isinstance(value, dict) and value.get("type") == "allowed_tools" and "allowed_tools" not in value:
        value = {"type": "allowed_tools", "allowed_tools": value}
    elif isinstance(value, dict) and value.get("type") not in ("function", "custom", "allowed_tools"):
        value = "auto"
    parallel = fields.take("parallel_tool_calls", bool)
    choice = tool_choice_of(Fields({"tool_choice": value, "parallel_tool_calls": parallel}))
    tools = tools_of(mine)
    if not tools and choice.mode != "none":
        choice = ToolChoice(parallel=choice.parallel)
    return offered(tools, choice)


def _items(value: Any, id: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        content = [{"type": "input_text", "text": value}]
        return [{"id": f"msg_in_{id}", "type": "message", "role": "user", "content": content}]
    listed = as_kind(value if value is not None else [], list[dict[str, Any]], "input")
    return [{"id": f"msg_in_{id}_{place}", **msgspec.to_builtins(item)} for place, item in enumerate(listed)]

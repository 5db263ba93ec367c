"""`POST /v1/responses/compact`: a conversation as what its user said, and the model's own summary of the rest.

The summary is an item of type `compaction`, whose content is opaque to clients (base64) and read again when they send
it back. Nothing of it is secret: it is the client's own conversation.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any, Final

from litestar import Request, post
from litestar.types import ASGIApp
from msgspec.structs import replace

from api.answering.call import Call
from api.answering.reply import as_json
from api.answering.result import Result, collect
from api.dialects.openai.usage import response_usage_of
from api.dialects.responses.finding import conversation
from api.dialects.responses.items import SUMMARY, messages_from
from engine.errors import InvalidRequest
from engine.types import GenerationRequest, Message, Thinking

MOST_SUMMARY: Final = 1024
"""Tokens of a summary, at most; a quarter of a small window."""
ASK: Final = (
    "Summarise our conversation so far, so that it can be continued from your summary alone: what was asked, what was "
    "found and decided, names, figures and files that matter, and what is still open. Write the summary only."
)


@post("/v1/responses/compact", status_code=200)
async def compact(request: Request[Any, Any, Any]) -> ASGIApp:
    """The messages of the user, and a compaction item that stands for all others."""
    call = await Call.of(request)
    fields = call.fields
    fields.known(("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "image"))
    before: tuple[Message, ...] = ()
    if (previous := fields.take("previous_response_id", str)) is not None:
        before = await conversation(request, previous)
    messages = (*before, *messages_from(fields.any("input")))
    if not messages:
        raise InvalidRequest("There is no conversation to compact.", fix="Send `input`.", param="input")
    instructions = fields.take("instructions", str)
    found, notes = await _summarised(call, messages, instructions)
    summary = found.first.text.strip()
    if not summary:
        raise InvalidRequest("The model wrote no summary.", "Its answer was empty.", "Ask another model.")
    said = [message for message in messages if message.role == "user" and message.text]
    items: list[dict[str, Any]] = [_item(f"msg_{call.id}_{place}", each) for place, each in enumerate(said)]
    content = SUMMARY + base64.b64encode(summary.encode()).decode()
    items.append({"id": f"cmp_{call.id}", "type": "compaction", "encrypted_content": content})
    body = {
        "id": f"resp_{call.id}",
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": items,
        "usage": response_usage_of(found.usage),
    }
    return as_json(body, headers=notes)


async def _summarised(
    call: Call, messages: Sequence[Message], instructions: str | None
) -> tuple[Result, list[tuple[bytes, bytes]]]:
    """The model's answer to `ASK` after them, and the headers that say what was passed over.

    What does not fit the window is left out, the oldest first, and the header says so: a conversation is compacted
    when it has grown too long.
    """
    system = (Message(role="system", content=instructions),) if instructions else ()
    asked = GenerationRequest(
        model=call.model(),
        messages=(*system, *messages, Message(role="user", content=ASK)),
        max_tokens=MOST_SUMMARY,
        overflow="drop_oldest",
        thinking=Thinking(enabled=False),
    )
    full = call.complete(asked)
    facts = await call.attended(call.hub.engine.facts(full.model))
    window = full.load.context or facts.context
    if window:
        full = replace(full, max_tokens=max(16, min(MOST_SUMMARY, window // 4)))
    stream = call.hub.engine.generate(await call.settled(full))
    try:
        found = await call.attended(collect(stream))
    finally:
        stream.cancel()
    call.hub.meter.add(found.usage, found.timings)
    cut = [(b"x-hearth-truncated", b"true")] if found.truncated else []
    return found, [*call.notes(), *cut]


def _item(id: str, message: Message) -> dict[str, Any]:
    content = [{"type": "input_text", "text": message.text}]
    return {"id": id, "type": "message", "role": "user", "status": "completed", "content": content}

"""What a message on a socket asks for, read into the engine's request: as `POST /chat`, and messages besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from api.dialects.openai.messages import messages_of
from api.reading.extensions import extended
from api.reading.fields import Fields
from api.reading.sampling import sampling_of, stops_of
from engine.errors import InvalidRequest
from engine.types import GenerationRequest

if TYPE_CHECKING:
    from api.hub import Hub
    from api.security.credentials import Principal


def request_of(message: dict[str, Any], hub: Hub, principal: Principal, id: str) -> GenerationRequest:
    """Raises InvalidRequest, ModelNotFound."""
    fields = Fields(message)
    prompt, messages = fields.take("prompt", str), fields.any("messages")
    if (prompt is None) == (messages is None):
        raise InvalidRequest("A message has either `prompt` or `messages`.", param="prompt")
    if prompt is not None and not prompt.strip():
        raise InvalidRequest("`prompt` is empty.", param="prompt")
    limit = fields.take("max_tokens", int, "max_new_tokens")
    if limit is not None and not 1 <= limit < 2**31:
        raise InvalidRequest("`max_tokens` is at least 1.", param="max_tokens")
    asked = GenerationRequest(
        model=hub.model(fields.take("model", str) or hub.settings.models.default),
        prompt=prompt,
        messages=None if messages is None else messages_of(messages),
        system=fields.take("system", str),
        max_tokens=limit,
        sampling=sampling_of(fields),
        stop=stops_of(fields),
    )
    asked = extended(asked, fields, {}, principal)
    return replace(asked, id=id, client=principal.name, source="hub")

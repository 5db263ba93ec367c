"""Pictures that a request names by path are read here: over HTTP no file of the other machine is opened."""

from __future__ import annotations

from engine.settings import Media
from engine.types import GenerationRequest, ImagePart


async def carried(request: GenerationRequest) -> GenerationRequest:
    """`request` with the bytes of its files. Raises InvalidRequest for a file that cannot be read."""
    parts = [
        *request.images,
        *(
            part
            for message in request.messages or ()
            if not isinstance(message.content, str)
            for part in message.content
        ),
    ]
    if not any(isinstance(part, ImagePart) and part.path is not None for part in parts):
        return request
    from engine.media import Sources

    return await Sources(Media()).resolved(request)

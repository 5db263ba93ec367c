"""A response as a record that outlives the server: its object, what it was made from, and the conversation up to it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from api.dialects.responses.request import Asked
from engine.types import GenerationRequest, Message

LARGEST = 16 * 2**20
"""Bytes of a record; a larger one (of many pictures) is kept as long as the server lives."""


class Record(Struct, frozen=True, kw_only=True):
    """What is written, as MessagePack."""

    response: dict[str, Any]
    items: list[dict[str, Any]]
    messages: tuple[Message, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def written(record: Record) -> bytes | None:
    """The record's bytes; None for one that is too large."""
    data = _encoder.encode(record)
    return data if len(data) <= LARGEST else None


def read(data: bytes) -> Record:
    """The record of `written`. Raises msgspec.MsgspecError for other bytes."""
    return _decoder.decode(data)


def asked_of(record: Record) -> Asked:
    """The request as far as anybody may still ask for it."""
    response = record.response
    return Asked(
        request=GenerationRequest(model=str(response.get("model", ""))),
        input=(),
        items=record.items,
        envelope=response,
        stream=False,
        background=bool(response.get("background")),
        store=True,
        summary=False,
        previous=response.get("previous_response_id"),
    )

"""The hub's own bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from engine.types import RunningRequest


class Health(Struct, kw_only=True):
    status: str
    backend: str | None
    device: str | None
    dtype: str | None
    models: list[str]
    model: str
    adapter: str | None
    max_side: Annotated[int, Meta(description="Pixels of an image's longest side.")]
    load_error: str | None


class AskBody(Struct, kw_only=True, omit_defaults=True):
    prompt: Annotated[str, Meta(min_length=1)]
    model: str | None = None
    system: str | None = None
    max_tokens: Annotated[int, Meta(ge=1, lt=2**31)] | None = None
    stop: str | list[str] | None = None


class Answer(Struct, kw_only=True, omit_defaults=True):
    response: str
    model: str
    adapter: str | None
    usage: dict[str, Any]
    timings: dict[str, Any]
    finish_reason: str
    reasoning: str | None = None


class Ticket(Struct, kw_only=True):
    ticket: str
    expires_in: Annotated[float, Meta(description="Seconds.")]


class LoadAdapterBody(Struct, kw_only=True, omit_defaults=True):
    adapter_name: Annotated[str, Meta(description="`none` takes it back.")]
    model: str | None = None


class LoadedAdapter(Struct, kw_only=True):
    status: str
    model: str
    adapter: str | None


class Adapters(Struct, kw_only=True):
    adapters: list[dict[str, Any]]


class Requests(Struct, kw_only=True):
    requests: list[RunningRequest]


class CancelledRequest(Struct, kw_only=True):
    id: str
    cancelled: bool

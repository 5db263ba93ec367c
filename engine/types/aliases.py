"""Names of the user's own for a model set up in one way, and named system prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from engine.types.messages import Message
from engine.types.models import ModelEntry, Verdict
from engine.types.request import AdapterRef, BackendName, LoadOptions, Overflow, SamplingOverrides, Thinking


class Alias(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an alias says; whatever it leaves open is the model's, or the settings'. A request goes before it."""

    model: Annotated[str, Meta(min_length=1, max_length=1024)]
    """A model, `model:adapter`, or a path; not another alias."""
    description: str = ""
    licence: str = ""
    system: str | None = None
    prompt: str | None = None
    """A named system prompt, `name` (its newest version) or `name@3`, in place of `system`."""
    template: str | None = None
    """A prompt template in place of the model's (Jinja)."""
    messages: tuple[Message, ...] = ()
    """Said before every conversation."""
    sampling: SamplingOverrides = {}
    stop: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=64)] = ()
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    json_mode: bool = False
    """Answers are JSON objects, unless a request asks for another form."""
    thinking: Thinking | None = None
    overflow: Overflow | None = None
    adapters: tuple[AdapterRef, ...] | None = None
    load: LoadOptions | None = None
    backend: BackendName = "auto"
    keep_alive: Annotated[float, Meta(le=1e9)] | None = None
    """Seconds, as in `GenerationRequest`."""
    image_max_side: Annotated[int, Meta(ge=64, le=8192)] | None = None
    """Pixels."""


class NamedAlias(Struct, frozen=True, kw_only=True):
    """An alias as it is listed. `broken` says why it cannot be used; `alias` is then None."""

    name: str
    alias: Alias | None = None
    broken: str | None = None


class PromptVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a named system prompt; `created` is in Unix seconds."""

    text: str
    created: float = 0.0
    note: str = ""


class NamedPrompt(Struct, frozen=True, kw_only=True):
    """A system prompt with all its versions, the oldest first: version 1 is the first of them.

    `broken` says why it cannot be used; it has no versions then.
    """

    name: str
    versions: tuple[PromptVersion, ...] = ()
    broken: str | None = None


class Effective(Struct, frozen=True, kw_only=True):
    """One value that a request to a name would have, and where it comes from: alias, model, settings or default."""

    name: str
    value: Any
    origin: str


class Setup(Struct, frozen=True, kw_only=True):
    """Everything that a request to `name` gets without saying anything itself."""

    name: str
    model: str
    """The id of the model behind it."""
    backend: str
    entry: ModelEntry | None = None
    """That model, one that is not listed and was found by its path too."""
    alias: Alias | None = None
    values: tuple[Effective, ...] = ()


class Listed(Struct, frozen=True, kw_only=True):
    """A model of this machine, an alias, or a name of the settings; with whether it could be loaded now, by its header
    alone."""

    kind: Literal["model", "alias", "name"]
    name: str
    model: str
    """The id of the model behind an alias or a name, or what it says where there is none."""
    entry: ModelEntry | None = None
    """That model; None where it is not here."""
    alias: Alias | None = None
    need: int = 0
    """Bytes that it would take, all devices together; 0: nobody knows."""
    verdict: Verdict = "unknown"
    reason: str = ""
    """Why it cannot be used, in words; empty where nothing is known against it."""

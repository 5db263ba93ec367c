"""Fills in what a request leaves open: from its alias, then from the settings. Pure.

Sampling is laid in layers of its own (`engine.sampling`), and load options meet the settings where models are loaded
(`load_defaults.completed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.library.load_options import check
from engine.runtime.ticket import Target
from engine.settings import Settings
from engine.types import (
    Alias,
    Constraint,
    GenerationRequest,
    LoadOptions,
    Message,
    Part,
    TextPart,
    Thinking,
    Tool,
)

_T = TypeVar("_T")
_SIZED = ("load_in_8bit", "load_in_4bit")
"""Load options that go together: who says one of them has said both."""


def looked_at(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    thinking: Thinking | None,
    template_args: Mapping[str, Any] | None,
) -> GenerationRequest:
    """A request whose prompt is only looked at."""
    return GenerationRequest(
        model=model,
        messages=tuple(messages),
        tools=tuple(tools),
        thinking=thinking or Thinking(),
        template_args=template_args or {},
    )


def completed(request: GenerationRequest, target: Target, settings: Settings) -> GenerationRequest:
    """`request` to `target` with nothing left open that an alias or the settings know. Raises as `load_of`."""
    alias = said_by(target)
    defaults = settings.generation
    fills_a_gap = request.suffix is not None or bool(request.extra_context)
    is_chat = bool(request.messages) or (request.prompt is not None and not request.raw and not fills_a_gap)
    constraint = request.constraint
    if constraint is None and alias.json_mode and not fills_a_gap:
        constraint = Constraint(kind="json")
    elif constraint is not None and constraint.kind == "text":
        constraint = None
    return replace(
        _opened(request, alias) if is_chat else request,
        system=_system(request, alias, defaults.system) if is_chat else request.system,
        template=alias.template if request.template is None and is_chat else request.template,
        constraint=constraint,
        stop=request.stop or alias.stop,
        max_tokens=_first(request.max_tokens, alias.max_tokens, defaults.max_tokens),
        thinking=thinking_of(request.thinking, alias.thinking),
        overflow=request.overflow or alias.overflow or defaults.overflow,
        load=load_of(request.load, target),
        keep_alive=keep_alive_of(request.keep_alive, target),
        image_max_side=longest_side(_first(request.image_max_side, alias.image_max_side), settings),
    )


def longest_side(said: int | None, settings: Settings) -> int:
    """Pixels that the longest side of an image is brought down to: what is `said`, within the limit of the settings."""
    limit = settings.media.max_side
    return limit if said is None else min(said, limit)


def load_of(said: LoadOptions, target: Target) -> LoadOptions:
    """`said` with the load options of the target's alias where it says nothing.

    Raises Unsupported for one that the target's backend cannot honour.
    """
    whole = _laid_over(said, target)
    check(target.backend, whole)
    return whole


def _laid_over(said: LoadOptions, target: Target) -> LoadOptions:
    own = said_by(target).load
    if own is None:
        return said
    plain = LoadOptions()
    sized = any(getattr(said, name) for name in _SIZED)
    return replace(
        said,
        **{
            name: getattr(own, name)
            for name in LoadOptions.__struct_fields__
            if getattr(said, name) == getattr(plain, name) and not (sized and name in _SIZED)
        },
    )


def said_by(target: Target) -> Alias:
    """What the target's alias says over what its model says; an alias that says nothing if neither does.

    Sampling is not in it. An alias with a system prompt or first messages of its own gets neither of the model's.
    """
    alias, own = target.alias, target.own
    if alias is None or own is None:
        return alias or own or _NONE
    opened = alias.system is not None or bool(alias.messages)
    load = alias.load
    if own.load is not None and (load is None or load.context is None):
        load = replace(load or LoadOptions(), context=own.load.context)
    return replace(
        alias,
        system=alias.system if opened else own.system,
        messages=alias.messages if opened else own.messages,
        stop=alias.stop or own.stop,
        max_tokens=_first(alias.max_tokens, own.max_tokens),
        load=load,
    )


def keep_alive_of(said: float | None, target: Target) -> float | None:
    """Seconds to stay loaded; None if neither request nor alias says."""
    return _first(said, target.alias.keep_alive if target.alias is not None else None)


def thinking_of(said: Thinking, own: Thinking | None) -> Thinking:
    """`said` over an alias's. Whether and how hard go together; who says anything also says what is shown."""
    if own is None or said == Thinking():
        return said if own is None else own
    if said.enabled is False or said.effort == "none":
        return said
    graded = said if said.enabled is not None or said.effort is not None else own
    return replace(said, enabled=graded.enabled, effort=graded.effort, budget=_first(said.budget, own.budget))


def _system(request: GenerationRequest, alias: Alias, default: str | None) -> str | None:
    """A conversation that brings a system message of its own gets no other, unless the request names one too."""
    if request.system is not None or any(each.role == "system" for each in request.messages or ()):
        return request.system
    if alias.system is not None:
        return alias.system
    return None if any(each.role == "system" for each in alias.messages) else default


def _opened(request: GenerationRequest, alias: Alias) -> GenerationRequest:
    """`request` with the alias's messages before its own, behind the system messages that it begins with."""
    if not alias.messages:
        return request
    own = request.messages
    if not own:
        said: tuple[Part, ...] = (*request.images, TextPart(request.prompt or ""))
        own = (Message(role="user", content=said if request.images else request.prompt or ""),)
    first = next((place for place, each in enumerate(own) if each.role != "system"), len(own))
    return replace(request, prompt=None, images=(), messages=(*own[:first], *alias.messages, *own[first:]))


def _first(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


_NONE = Alias(model="-")

"""What a request to a name gets without saying anything itself, value by value with its origin. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from engine.library.load_options import objection
from engine.library.shape import DEFAULT_CONTEXT
from engine.runtime.ticket import Target
from engine.sampling import sources
from engine.settings import Generation, Media, Runtime, Settings
from engine.types import AdapterRef, Alias, Effective, LoadOptions, ModelFacts, Setup, Thinking

ALIAS, MODEL, SETTINGS, DEFAULT = "alias", "model", "settings", "default"
_OF_RUNTIME: Final = (
    "slots", "device", "split", "gpu_layers", "threads", "batch_threads", "kv_type", "flash_attention", "use_mmap",
    "draft_tokens",
)  # fmt: skip
"""Load options that have a setting of the same name."""


def setup(
    name: str, target: Target, adapters: tuple[AdapterRef, ...], settings: Settings, facts: ModelFacts | None
) -> Setup:
    """Everything that a request to `name`, which is `target`, gets. `facts` are those of the model, if known.

    `adapters` are those of the target by their names.
    """
    alias = target.alias
    return Setup(
        name=target.name or name,
        model=target.id,
        backend=target.backend,
        entry=target.entry,
        alias=alias,
        values=(
            *_said(target, adapters, settings, facts),
            *_sampling(target, settings, facts),
            *_load(alias, target, settings, facts),
        ),
    )


def _said(
    target: Target, adapters: tuple[AdapterRef, ...], settings: Settings, facts: ModelFacts | None
) -> Iterator[Effective]:
    alias = target.alias if target.alias is not None else Alias(model="-")
    model = target.own if target.own is not None else Alias(model="-")
    if alias.system is not None or alias.messages:
        model = replace(model, system=None, messages=())
    generation, media, runtime = settings.generation, settings.media, settings.runtime
    plain = Generation()
    yield _value("system", (alias.system, ALIAS), (model.system, MODEL), (generation.system, SETTINGS))
    if alias.prompt is not None:
        yield Effective(name="prompt", value=alias.prompt, origin=ALIAS)
    yield _value(
        "template", (alias.template, ALIAS), (facts.chat_template if facts is not None else None, MODEL)
    )
    yield _value("messages", (alias.messages or None, ALIAS), (model.messages or None, MODEL), ((), DEFAULT))
    yield _value("stop", (alias.stop or None, ALIAS), (model.stop or None, MODEL), ((), DEFAULT))
    yield _value(
        "max_tokens",
        (alias.max_tokens, ALIAS),
        (model.max_tokens, MODEL),
        (generation.max_tokens, SETTINGS),
    )
    yield _value("json_mode", (alias.json_mode or None, ALIAS), (False, DEFAULT))
    own = alias.thinking if alias.thinking is not None else Thinking()
    for field in Thinking.__struct_fields__:
        standard = getattr(Thinking(), field)
        said = getattr(own, field)
        yield _value(f"thinking.{field}", (said if said != standard else None, ALIAS), (standard, DEFAULT))
    yield _value(
        "overflow",
        (alias.overflow, ALIAS),
        _setting(generation.overflow, plain.overflow),
    )
    named = alias.adapters is not None or ":" in alias.model
    yield Effective(
        name="adapters", value=adapters, origin=(ALIAS if named else MODEL) if adapters or named else DEFAULT
    )
    chosen = alias.backend if alias.backend != "auto" else None
    yield _value("backend", (chosen, ALIAS), (target.backend, DEFAULT))
    yield _value("keep_alive", (alias.keep_alive, ALIAS), _setting(runtime.keep_alive, Runtime().keep_alive))
    side, limit = alias.image_max_side, media.max_side
    within = side if side is not None and side < limit else None
    yield _value("image_max_side", (within, ALIAS), _setting(limit, Media().max_side))


def _sampling(target: Target, settings: Settings, facts: ModelFacts | None) -> Iterator[Effective]:
    layers = (
        (ALIAS, target.alias.sampling if target.alias is not None else {}),
        (MODEL, target.recommended),
        (MODEL, facts.sampling if facts is not None else {}),
        (SETTINGS, settings.generation.sampling_overrides),
    )
    for name, (value, origin) in sources(layers).items():
        yield Effective(name=f"sampling.{name}", value=value, origin=origin)


def _load(
    alias: Alias | None, target: Target, settings: Settings, facts: ModelFacts | None
) -> Iterator[Effective]:
    own = alias.load if alias is not None and alias.load is not None else LoadOptions()
    plain, runtime = LoadOptions(), settings.runtime
    for name in LoadOptions.__struct_fields__:
        standard = getattr(plain, name)
        said = getattr(own, name)
        values: list[tuple[Any, str]] = [(said if said != standard else None, ALIAS)]
        if name == "context":
            if target.own is not None and target.own.load is not None:
                values.append((target.own.load.context, MODEL))
            trained = target.entry.context or (facts.context_trained if facts is not None else 0)
            values.append((runtime.context, SETTINGS))
            if trained:
                values.append(
                    (min(trained, DEFAULT_CONTEXT), MODEL if trained <= DEFAULT_CONTEXT else DEFAULT)
                )
        elif name in _OF_RUNTIME:
            value = getattr(runtime, name)
            if value is None or objection(target.backend, name, value) is None:
                values.append(_setting(value, getattr(Runtime(), name)))
        yield _value(f"load.{name}", *values, (standard, DEFAULT))


def _setting(value: Any, standard: Any) -> tuple[Any, str]:
    """A setting's value; one that is the usual has not been chosen by anybody."""
    return value, DEFAULT if value == standard else SETTINGS


def _value(name: str, *layers: tuple[Any, str]) -> Effective:
    """The first value that is said at all; None by default if none is."""
    value, origin = next(((value, origin) for value, origin in layers if value is not None), (None, DEFAULT))
    return Effective(name=name, value=value, origin=origin)

"""The fields of an alias as rows of a form, made from its schema: what each is called, how it is given, what it takes.

A field that the schema gains appears by itself; the tables here only order, name and explain. Knows no widget.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import msgspec.inspect as mi
from msgspec import Struct

from engine.settings import SAMPLING_HELP, expected
from engine.types import Alias, LoadOptions, Sampling, Thinking

Kind = Literal["line", "choice", "text", "list", "model", "prompt", "adapters", "messages"]
"""How a field is given: typed on a line, one of a few words, in a box, or in a dialogue of its own."""
NESTED: dict[str, type[Struct]] = {"sampling": Sampling, "thinking": Thinking, "load": LoadOptions}
"""Fields of an alias that are tables, with what they hold; their fields stand for them, as in `load.context`."""
GROUPS: dict[str, tuple[str, ...]] = {
    "Model": ("model", "adapters", "backend", "description", "licence"),
    "Instructions": ("system", "prompt", "messages", "template"),
    "Answer": (
        "max_tokens", "stop", "json_mode", "thinking.enabled", "thinking.effort", "thinking.budget",
        "thinking.visible", "overflow", "image_max_side",
    ),
    "Sampling": (
        "sampling.temperature", "sampling.top_p", "sampling.top_k", "sampling.min_p",
        "sampling.repetition_penalty", "sampling.presence_penalty", "sampling.frequency_penalty", "sampling.seed",
    ),
    "Loading": ("load.context", "load.load_in_8bit", "load.load_in_4bit", "keep_alive", "load.device"),
}  # fmt: skip
"""The groups, and what stands first in each, most used first."""
REST = {"sampling": "Sampling", "thinking": "Answer", "load": "Loading", "": "Answer"}
"""Where a field belongs that no group names, by its table."""
KINDS: dict[str, Kind] = {
    "model": "model",
    "prompt": "prompt",
    "adapters": "adapters",
    "messages": "messages",
    "system": "text",
    "template": "text",
    "licence": "text",
}
"""Those that their type does not tell."""
LABELS = {
    "thinking.enabled": "thinking",
    "thinking.effort": "thinking effort",
    "thinking.budget": "thinking budget",
    "thinking.visible": "thinking shown",
    "prompt": "named prompt",
    "max_tokens": "max new tokens",
    "load.load_in_8bit": "8 bit weights",
    "load.load_in_4bit": "4 bit weights",
}
HELP = {
    "model": "The model behind the name: one that is here, MODEL:ADAPTER, a path, or org/name at the hub.",
    "description": "What it is for, in your words.",
    "licence": "The licence text, for a Modelfile.",
    "system": "Who the model is and how it answers. A conversation with a system message of its own gets no other.",
    "prompt": "A named system prompt in place of the text above: its newest version, or one by its number.",
    "template": "A prompt template (Jinja) in place of the model's own.",
    "messages": "Said before every conversation: examples to follow.",
    "stop": "The answer ends before any of these texts.",
    "max_tokens": "Most tokens of an answer; without it the window is filled.",
    "json_mode": "Answers are JSON objects, unless a request asks for another form.",
    "thinking.enabled": "Whether the model thinks before it answers; else its template decides.",
    "thinking.effort": "How much it thinks.",
    "thinking.budget": "Most tokens of thinking.",
    "thinking.visible": "Whether what it thinks is sent on.",
    "overflow": "What happens to a text longer than the window.",
    "adapters": "LoRA adapters with their scales; base is the model without any.",
    "backend": "What runs the model; else what suits its files.",
    "keep_alive": "How long the model stays in memory afterwards: 30s, 5m, 1h, 0 (not at all), -1 (for ever).",
    "image_max_side": "Pixels that the longest side of an image is brought down to.",
    "load.context": "Context window in tokens; the model is loaded with it.",
    "load.slots": "How many answers are written at once.",
    "load.batch": "Largest piece of a prompt that is computed in one step, tokens.",
    "load.device": "What computes it: auto, cpu, gpu, cuda:1, mps or metal.",
    "load.split": "What each of several devices takes: shares (3,1), or memory (10GB,24GB).",
    "load.gpu_layers": "Layers that go to the GPU; -1 for all.",
    "load.threads": "Threads that write answers.",
    "load.batch_threads": "Threads that read prompts.",
    "load.kv_type": "Numbers of the KV cache; smaller ones take less memory.",
    "load.flash_attention": "Compute attention without its large tables.",
    "load.use_mmap": "Map the file into memory instead of reading it.",
    "load.dtype": "Numbers that a model folder is computed in: float32, bfloat16, float16.",
    "load.load_in_8bit": "Quantise the weights to 8 bits at the load.",
    "load.load_in_4bit": "Quantise the weights to 4 bits at the load.",
    "load.cells": "Tokens that the KV cache holds over all slots.",
    "load.whole_window": "Keep the KV of sliding-window layers whole: more memory, reuse from anywhere.",
    "load.draft_model": "A small model of the same vocabulary that guesses ahead, by name or path.",
    "load.draft_tokens": "Most tokens guessed ahead in one step; 0 is off.",
    **{f"sampling.{name}": words for name, words in SAMPLING_HELP.items()},
}
UNSAID = ""
"""The text of a field that the alias leaves open."""
HIDDEN_WORDS = frozenset({"scripted"})
"""Words of the schema that are for tests."""


class Field(Struct, frozen=True, kw_only=True):
    """One row: its dotted key, its words, how it is given."""

    key: str
    label: str
    group: str
    kind: Kind
    help: str
    expects: str
    choices: tuple[tuple[str, str], ...] = ()
    """(text, word) pairs of a choice; the text of the first is what says nothing."""

    @property
    def opens(self) -> bool:
        """Whether it is given in a dialogue."""
        return self.kind not in ("line", "choice")


@cache
def fields() -> dict[str, Field]:
    """Every field by its key, group by group."""
    found = {each.key: each for each in _fields()}
    first = {key: place for keys in GROUPS.values() for place, key in enumerate(keys)}
    return {
        key: found[key]
        for group in GROUPS
        for key in sorted(
            (key for key in found if found[key].group == group), key=lambda key: first.get(key, len(first))
        )
    }


def _fields() -> Iterator[Field]:
    for name, kind in _types(Alias).items():
        if name not in NESTED:
            yield _field(name, kind)
            continue
        for inner, inner_kind in _types(NESTED[name]).items():
            yield _field(f"{name}.{inner}", inner_kind)


def _types(struct: type[Struct]) -> dict[str, mi.Type]:
    info = mi.type_info(struct)
    assert isinstance(info, mi.StructType)
    return {field.name: field.type for field in info.fields}


def _field(key: str, type_: mi.Type) -> Field:
    own = _without_none(type_)
    table, _, name = key.rpartition(".")
    group = next((group for group, keys in GROUPS.items() if key in keys), REST[table])
    choices = _choices(key, own)
    given: Kind = "choice" if choices else "list" if _is_texts(own) else "line"
    kind = KINDS.get(key, given)
    return Field(
        key=key,
        label=LABELS.get(key, name.replace("_", " ")),
        group=group,
        kind=kind,
        help=HELP.get(key, ""),
        expects=_expects(key, own, kind),
        choices=choices,
    )


def _expects(key: str, own: mi.Type, kind: Kind) -> str:
    if key == "keep_alive":
        return "seconds, or text such as 90s, 5m or 1h30m"
    if key == "sampling.logit_bias":
        return 'a table such as {"42": -1.5}'
    if key == "sampling.banned_tokens":
        return "a list such as [42, 43]"
    return expected(own) if kind in ("line", "choice") else ""


def _choices(key: str, own: mi.Type) -> tuple[tuple[str, str], ...]:
    """A switch that is off unless it is said to be on has nothing to say but that, and so the other way round."""
    nothing = (UNSAID, "not said")
    if isinstance(own, mi.BoolType):
        default = _default(key)
        words = (("on", "on"), ("off", "off"))
        if key.startswith("sampling.") or default is None:
            return (nothing, *words)
        return (nothing, words[1] if default else words[0])
    if isinstance(own, mi.LiteralType):
        values = _in_order(own)
        default = _default(key)
        return (
            nothing,
            *(
                (str(each), str(each))
                for each in values
                if each not in HIDDEN_WORDS and (each != default or key.startswith("sampling."))
            ),
        )
    return ()


def _in_order(own: mi.LiteralType) -> tuple[Any, ...]:
    """The words as the schema gives them; msgspec sorts them."""
    from typing import get_args

    from engine.types import BackendName, Effort, Overflow

    for known in (BackendName, Effort, Overflow):
        if set(get_args(known)) == set(own.values):
            return get_args(known)
    return tuple(own.values)


def _default(key: str) -> Any:
    table, _, name = key.rpartition(".")
    struct = NESTED[table]() if table else Alias(model="-")
    return getattr(struct, name)


def _without_none(type_: mi.Type) -> mi.Type:
    while isinstance(type_, mi.Metadata):
        type_ = type_.type
    if isinstance(type_, mi.UnionType):
        kinds = [each for each in type_.types if not isinstance(each, mi.NoneType)]
        if len(kinds) == 1:
            return _without_none(kinds[0])
    return type_


def _is_texts(own: mi.Type) -> bool:
    return isinstance(own, mi.VarTupleType) and isinstance(_without_none(own.item_type), mi.StrType)

"""What a scripted model is told to do: the id `scripted:<script>` and its reading.

A script is a JSON object (`scripted:{"tokens": 200, "delay_ms": 10}`) or pairs
(`scripted:tokens=200,delay_ms=10`). Of the pairs `text=` must come last and takes the rest,
commas and all. The fields are those of `Script`.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from engine.errors import ModelNotFound

PREFIX = "scripted:"

Failure = Literal["load", "load_abort", "load_exit", "load_hang", "abort", "exit", "kill", "hang", "error"]


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a scripted model does, and how it fails."""

    text: str | None = None
    """The answer. None: `tokens` numbered words, or if that is 0 an echo of the last user turn."""
    tokens: int = 0
    pieces: Literal["words", "bytes"] = "words"
    """How the answer is cut into tokens; bytes splits code points."""
    random: bool = False
    """Draw each token from the words of the answer by the sequence's seed, without end."""
    thinking: bool = False
    """The model's template knows `<think>` sections."""
    delay_ms: float = 0.0
    """Length of a step."""
    token_us: float = 0.0
    """Further length of a step for each of its tokens."""
    spin_ms: float = 0.0
    """How long a step computes in earnest, without a word, as a native library would."""
    load_ms: float = 0.0
    """Length of the load, with progress every hundredth of it, at most every millisecond."""
    slots: int = 4
    context: int = 8192
    batch: int = 2048
    cells: int | None = None
    """Size of the KV cache in tokens over all slots; beyond it a step answers NO_SLOT."""
    weights: int = 0
    """Bytes of weights that it says it needs and holds."""
    cache: int = 0
    """Bytes of KV cache that it says it needs and holds at a context of `context`; less at a smaller one."""
    fits: int | None = None
    """The largest context for which there is memory; the load of a larger one fails."""
    room: int | None = None
    """Tokens of state for which there is memory; a step beyond them runs out of it."""
    steps_fit: int | None = None
    """The largest context at which there is memory for steps; at a larger one every step runs out of it."""
    shelves: int = 8
    exact: bool = False
    """Computed state cannot be cut back, as in a recurrent model."""
    draft_cost: float = 1.0
    """What a guessed token costs, beside one that is known (`token_us`)."""
    refuses: tuple[str, ...] = ()
    """Sampling fields that it says it cannot honour."""
    fail: Failure | None = None
    """abort, exit and kill end the process, hang stops it, error raises; load, load_… come while loading."""
    after: int = 0
    """How many tokens are sampled, over all streams, before `fail` comes."""
    poison: str = ""
    """A step with a sequence whose prompt holds this text is refused."""
    breaks: str = ""
    """A step with a sequence whose prompt holds this text breaks, and every sequence's state with it."""
    once: str = ""
    """A file: fail (`fail` or `breaks`) only if it is not there yet, and make it."""
    chatter: str = ""
    """Written to file descriptors 1 and 2 at every step, as a native library would."""


def parse(model: str) -> Script:
    """The script of the model id `scripted:…`. Raises ModelNotFound if it cannot be read."""
    source = model.removeprefix(PREFIX).strip()
    try:
        if source.startswith("{"):
            return msgspec.json.decode(source, type=Script)
        return msgspec.convert(_pairs(source), Script, strict=False)
    except msgspec.MsgspecError as error:
        raise ModelNotFound(
            f"The script of {model!r} cannot be read.",
            f"{error}.",
            f"Its fields are: {', '.join(Script.__struct_fields__)}.",
            param="model",
        ) from None


def _pairs(source: str) -> dict[str, object]:
    found: dict[str, object] = {}
    while source:
        name, _, rest = source.partition("=")
        value, _, source = (rest, "", "") if name.strip() == "text" else rest.partition(",")
        found[name.strip()] = value.split("|") if name.strip() == "refuses" else value
    return found

"""The seam under the scheduler: what a library must do to batch many sequences, one step at a time.

A sequence is a list of tokens of which a growing prefix has been computed. `step` is told how many further
tokens of which sequences to compute; where that reaches the end of a sequence, the backend samples its next
token and appends it. So prefill is a row of many tokens, decode a row of one, and a resumed or preempted
sequence is nothing special (after vLLM's scheduler: computed tokens chase known tokens).

A backend is used from one thread, except `interrupt`. It raises `engine.errors` for what a person can mend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from engine.types import AdapterRef, Constraint, LoadOptions, MemoryUse, ModelFacts, Sampling, TokenLogprob


class Outcome(Enum):
    """How a step ended. Unless OK no row advanced, but for the rows named in `StepResult.advanced`."""

    OK = "ok"
    NO_SLOT = "no_slot"
    """No room in the KV cache; everything is as before the step."""
    INTERRUPTED = "interrupted"
    """`interrupt` was called; everything is as before the step."""


class LoadSpec(Struct, frozen=True, kw_only=True):
    """Everything needed to load: where the weights are and how they are to be held.

    `screen_attached` asks for manners beside a UI (passive waiting, a core left free); `extra` is read by the
    scripted backend only.
    """

    model: str
    path: str
    options: LoadOptions
    screen_attached: bool = True
    extra: Mapping[str, object] = {}


class SequenceSpec(Struct, frozen=True, kw_only=True):
    """A sequence as it enters the batch. `slot` is free, 0 <= slot < capabilities.max_slots."""

    slot: int
    tokens: tuple[int, ...]
    sampling: Sampling
    seed: int
    """Resolved, 0 <= seed < 2**32."""
    constraint: Constraint | None = None
    top_logprobs: int | None = None
    """None: no logprobs; else that many alternatives for each sampled token."""


class Row(Struct, frozen=True):
    """Compute the next `count` tokens of the sequence in `slot`."""

    slot: int
    count: int


class Sampled(Struct, frozen=True):
    """The token that a row whose sequence was fully computed drew; it is appended but not yet computed."""

    slot: int
    token: int
    logprob: TokenLogprob | None = None


class StepResult(Struct, frozen=True):
    outcome: Outcome
    sampled: tuple[Sampled, ...] = ()


class StepBackend(Protocol):
    """A loaded model. `facts` and its capabilities are fixed from load to `close`."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`; `parse_special` reads special tokens written out in it."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for in output; empty for control tokens. May be partial UTF-8."""
        ...

    def special_text(self, token: int) -> str:
        """The text of a special token (as the template or a parser would write it), for any token."""
        ...

    def insert(self, spec: SequenceSpec) -> None:
        """Take a sequence into its slot; nothing is computed yet.

        Raises InvalidRequest or Unsupported where the spec cannot be honoured; the slot then stays free.
        """
        ...

    def step(self, rows: Sequence[Row]) -> StepResult:
        """Compute `rows`, at most one a slot, in one batch; sum of counts <= `batch_limit`."""
        ...

    @property
    def batch_limit(self) -> int:
        """Most tokens that one step can take."""
        ...

    def fork(self, source: int, target: int, count: int) -> None:
        """Let `target`, just inserted, share the first `count` computed tokens of `source`, without copying."""
        ...

    def remove(self, slot: int) -> None:
        """Forget the sequence in `slot` and free its KV cache."""
        ...

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        """Make `adapters` (paths and scales; empty: none) hold for all following steps.

        Raises ModelNotFound or InvalidRequest; the former adapters then stay.
        """
        ...

    def memory(self) -> MemoryUse: ...

    def interrupt(self) -> None:
        """Make a running `step` end early with INTERRUPTED, where the library can. From any thread."""
        ...

    def close(self) -> None:
        """Free everything. No call after it."""
        ...


Progress = Callable[[str, float | None], bool]
"""Told (stage, fraction 0..1 or None) during a load; an answer of False asks to abort the load."""

Opener = Callable[[LoadSpec, Progress], StepBackend]
"""Loads a model. Raises ModelLoadFailed, or InterruptedError when `Progress` said stop."""

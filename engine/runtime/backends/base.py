"""The seam under the scheduler: what a library must do to batch many sequences, one step at a time.

A sequence is a list of tokens of which a growing prefix has been computed. `step` is told how many further
tokens of which sequences to compute; where that reaches the end of a sequence, the backend samples its next
token and appends it. So prefill is a row of many tokens, decode a row of one, and a resumed or preempted
sequence is nothing special (after vLLM's scheduler: computed tokens chase known tokens).

Beside its slots a backend has shelves, which keep the computed state of sequences that do not run. Slots and shelves
are numbered through: slots from 0, shelves from `capabilities.max_slots` on. What state is worth keeping, and which
tokens it belongs to, is decided above (`engine.runtime.worker.prefix`); a backend only moves it.

A backend is used from one thread, except `interrupt` and what says so. It raises `engine.errors` for what a person
can mend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol, get_args

from msgspec import Struct

from engine.errors import HearthError, InternalError
from engine.library.folder_split import Placement
from engine.runtime.backends.library_settings import LibrarySettings
from engine.types import (
    AdapterRef,
    ConstraintKind,
    Embeddings,
    EmbedRequest,
    LoadOptions,
    MemoryUse,
    ModelFacts,
    Ranking,
    RerankRequest,
    Sampling,
    TokenLogprob,
)

if TYPE_CHECKING:
    from engine.runtime.backends.guide import Guide, TokenTable
    from engine.runtime.backends.media import MediaReader, Span


CONSTRAINTS: Final[frozenset[str]] = frozenset(get_args(ConstraintKind)) - {"text"}
"""What an answer can be held to by a grammar; text is held to nothing."""


class StateLost(InternalError):
    """A step failed and took the state of every sequence with it; `rebuild` makes the backend usable again."""


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
    projector: str | None = None
    """The file with which a GGUF model sees."""
    placement: Placement | None = None
    """Where each layer of a model folder goes, as it was planned; None: all to one device, or the backend finds out."""
    planned: bool = False
    """Whether it was planned by the memory that is accounted for: a backend that looks for itself may see less."""
    screen_attached: bool = True
    libraries: LibrarySettings = LibrarySettings()
    extra: Mapping[str, object] = {}


class SequenceSpec(Struct, frozen=True, kw_only=True):
    """A sequence as it enters the batch. `slot` is free, 0 <= slot < capabilities.max_slots."""

    slot: int
    tokens: tuple[int, ...]
    sampling: Sampling
    seed: int
    """Resolved, 0 <= seed < 2**32."""
    guide: Guide | None = None
    """What the sampled tokens must follow."""
    top_logprobs: int | None = None
    """None: no logprobs; else that many alternatives for each sampled token."""
    spans: tuple[Span, ...] = ()
    """Pictures among the tokens, with their embeddings."""
    sampler: object = None
    """What `suspend` gave for the same sequence: it draws on as if it had never been away."""


class Row(Struct, frozen=True):
    """Compute the next `count` tokens of the sequence in `slot`: of words, or of one picture.

    `draft` are guesses at what follows a sequence that this computes to its end: as many of them as are drawn in turn
    are kept. `scored` asks how likely each of the `count` tokens was, and takes as many outputs as it has tokens.
    `whole`: a picture that cannot be computed in parts, though it may be larger than the batch.
    """

    slot: int
    count: int
    draft: tuple[int, ...] = ()
    scored: bool = False
    whole: bool = False

    @property
    def size(self) -> int:
        """Tokens that it takes of the batch."""
        return self.count + len(self.draft)

    def outputs(self) -> int:
        """Most rows of logits that it takes."""
        return self.count if self.scored else 1 + len(self.draft)


class Sampled(Struct, frozen=True):
    """A token that a row whose sequence was fully computed drew; appended, and the last of them not yet computed."""

    slot: int
    token: int
    logprob: TokenLogprob | None = None


class Scored(Struct, frozen=True):
    """What a scored row found: `logprobs` are those of the known tokens from `start` on."""

    slot: int
    start: int
    logprobs: tuple[TokenLogprob, ...]


class Failure(Struct, frozen=True):
    """The row of `slot` was computed, and no token could be drawn for it."""

    slot: int
    error: HearthError


class StepResult(Struct, frozen=True):
    """`sampled` has one entry a row that reached its end, and one more for each guess that was right, in order."""

    outcome: Outcome
    sampled: tuple[Sampled, ...] = ()
    scored: tuple[Scored, ...] = ()
    failed: tuple[Failure, ...] = ()


class TextJob(Protocol):
    """Texts that are read for their vectors or scores. `error` is set when it ended in one."""

    error: HearthError | None

    def answer(self, model: str) -> Embeddings | Ranking:
        """What came of it, once it has come out of a step without an error."""
        ...


class TextReader(Protocol):
    """Reads texts beside the sequences, without touching their state: jobs go in, steps compute, jobs come out."""

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...]) -> TextJob:
        """The job of a request; from any thread. Raises InvalidRequest, Unsupported or ContextOverflow."""
        ...

    def rank_job(self, request: RerankRequest) -> TextJob:
        """The same for documents to be ranked."""
        ...

    def begin(self, job: TextJob) -> None: ...

    def step(self) -> tuple[TextJob, ...]:
        """Compute one batch of bounded size; the jobs that ended with it. Errors stay with their job."""
        ...

    def cancel(self, job: TextJob) -> None:
        """Drop a job; it does not come out of a step any more."""
        ...

    @property
    def busy(self) -> bool: ...

    @property
    def holds_memory(self) -> bool:
        """Whether it holds more than the weights now."""
        ...

    def release_if_idle(self, seconds: float) -> bool:
        """Free its memory if no text was read for so long; whether that freed any."""
        ...


class StepBackend(Protocol):
    """A loaded model. `facts` and its capabilities are fixed from load to `close`."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`; `parse_special` reads special tokens written out in it."""
        ...

    @property
    def texts(self) -> TextReader:
        """What reads texts for embeddings and ranking."""
        ...

    @property
    def media(self) -> MediaReader | None:
        """What reads pictures; None where the model has no eyes."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for in output; empty for control tokens. May be partial UTF-8."""
        ...

    def special_text(self, token: int) -> str:
        """The text of a special token (as the template or a parser would write it), for any token."""
        ...

    def token_of(self, text: str) -> int | None:
        """The one special token that is exactly `text`, if there is one. From any thread."""
        ...

    def token_table(self) -> TokenTable:
        """The vocabulary as grammars have to know it. From any thread. Raises Unsupported if none can be followed."""
        ...

    def insert(self, spec: SequenceSpec) -> None:
        """Take a sequence into its slot; nothing is computed yet.

        Raises InvalidRequest or Unsupported where the spec cannot be honoured; the slot then stays free.
        """
        ...

    def amend(self, slot: int, count: int, tokens: Sequence[int]) -> None:
        """Let `tokens` follow the first `count` tokens of the sequence in `slot`, in place of whatever did.

        What was computed of it behind those is forgotten, which its slot must allow. Its sampler is told nothing, so
        that only one that heeds no former tokens goes on as if these had been there from the start. Raises
        InvalidRequest or ContextOverflow for tokens that the model does not take, and then leaves all as it was.
        """
        ...

    def step(self, rows: Sequence[Row]) -> StepResult:
        """Compute `rows`, at most one a slot, in one batch, within `batch_limit` tokens and `output_limit` outputs.

        A picture that has to be computed whole may be larger than that.

        Raises InternalError where the library refuses the batch (nothing has changed then), StateLost where it broke.
        """
        ...

    @property
    def batch_limit(self) -> int:
        """Most tokens that one step can take."""
        ...

    @property
    def output_limit(self) -> int:
        """Most rows of logits that one step can give."""
        ...

    # --- state of sequences, in slots and on shelves

    @property
    def shelves(self) -> int:
        """How many shelves there are."""
        ...

    @property
    def cells(self) -> int:
        """How many tokens all slots and shelves can have computed together."""
        ...

    @property
    def saves_exactly(self) -> bool:
        """Whether a state that was saved and restored can no longer be cut, though it could before."""
        ...

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """Let `target` have the computed tokens `start` to `stop` of `source` too, without copying.

        `target` has exactly the first `start` tokens already. Of a source that cannot be cut, `start` is 0 and `stop`
        all that it has. Raises InsufficientMemory where it is copied all the same and does not go in; `target` then
        has what it had.
        """
        ...

    def cut(self, holder: int, count: int) -> None:
        """Forget what follows the first `count` tokens in `holder`, which can be cut; 0 frees it in any case."""
        ...

    def cuttable(self, holder: int) -> bool:
        """Whether the state of `holder` can be cut back to any of its tokens, or shared in part."""
        ...

    def save(self, shelf: int, count: int) -> memoryview:
        """A copy of the state of the first `count` tokens on `shelf`, for `restore`; of all, if it cannot be cut."""
        ...

    def restore(self, shelf: int, state: bytes | memoryview, count: int) -> None:
        """Put what `save` gave, of `count` tokens, on an empty shelf. Raises InternalError if it does not take it."""
        ...

    @property
    def identity(self) -> str:
        """Everything that state depends on but adapters: weights, KV types, rope, build; empty: it cannot be saved."""
        ...

    def adapter_identity(self, adapters: tuple[AdapterRef, ...]) -> str:
        """The same of a set of adapters, with their scales; empty for none."""
        ...

    def rebuild(self) -> None:
        """Make the backend anew over the same weights: every slot and shelf is empty, adapters are to be set again."""
        ...

    def shrink(self) -> None:
        """Free everything but the weights, until `rebuild`. Nothing else may be called meanwhile but `memory`."""
        ...

    def suspend(self, slot: int) -> object:
        """As `remove`, for a sequence that will be inserted again, with what this returns as its `sampler`."""
        ...

    def remove(self, slot: int) -> None:
        """Forget the sequence in `slot`; what it shares with no other holder is free again."""
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

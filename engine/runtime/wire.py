"""The private protocol between the engine and its worker processes: length-prefixed msgpack Structs.

A frame is four bytes of length, little endian, and that many bytes of msgpack holding one tagged Struct.
Both ends are always of one installation, so there is one protocol number and no negotiation.
The two directions have their own unions; nothing of Python travels, only data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from engine.errors import ErrorInfo
from engine.library.shape import DryRun, Matrix
from engine.runtime.backends.base import LoadSpec
from engine.runtime.limits import Limits
from engine.types import (
    AdapterRef,
    Device,
    Embeddings,
    EmbedRequest,
    GenerationRequest,
    MemoryUse,
    ModelFacts,
    Ranking,
    RerankRequest,
    Sampling,
    StreamEvent,
    TokenLogprob,
)

PROTOCOL = 1
MAX_FRAME = 1 << 30
"""Bytes. A larger length can only be garbage (images travel inside a request, so frames may be large)."""

_LENGTH = struct.Struct("<I")

# --- engine to worker ---------------------------------------------------------------------------------------


class CacheSpec(Struct, frozen=True, kw_only=True):
    """The prefix cache of a worker: whether there is one, and what of it outlives the worker (`limit` in bytes)."""

    enabled: bool = True
    folder: str | None = None
    """Where computed prefixes are saved; None: nowhere."""
    limit: int = 0


class Draft(Struct, frozen=True):
    """A second model for the same worker, which guesses what the first says next."""

    backend: str
    spec: LoadSpec


class Load(Struct, frozen=True, tag="load"):
    """The first frame: what to load with which backend (a name of `engine.runtime.backends`)."""

    backend: str
    spec: LoadSpec
    limits: Limits
    cache: CacheSpec = CacheSpec()
    reading: bool = False
    """Answer questions about text only: no weights are loaded, and requests are refused."""
    draft: Draft | None = None


class Probe(Struct, frozen=True, kw_only=True, tag="probe"):
    """The first frame to a throw-away worker: try the file of `spec` without taking its memory, answer, end.

    An empty path asks for the devices only.
    """

    backend: str
    spec: LoadSpec
    matrices: tuple[Matrix, ...] = ()
    """Kinds of its weights, to be told which would be held twice."""


class Submit(Struct, frozen=True, kw_only=True, tag="submit"):
    """A request with everything resolved that needs more than the model: sampling, seed, adapter paths."""

    key: int
    request: GenerationRequest
    sampling: Sampling
    seed: int
    adapters: tuple[AdapterRef, ...] = ()
    submitted: int = 0
    load: int = 0
    """How long this request waited for the model to load, ns."""


class Cancel(Struct, frozen=True, tag="cancel"):
    key: int


class Tokenize(Struct, frozen=True, tag="tokenize"):
    call: int
    text: str
    special: bool


class Detokenize(Struct, frozen=True, tag="detokenize"):
    """`apart`: each token by itself, as bytes."""

    call: int
    tokens: tuple[int, ...]
    apart: bool = False


class Render(Struct, frozen=True, tag="render"):
    """The prompt text of `request`, before it is fitted into a window."""

    call: int
    request: GenerationRequest
    open_turn: bool


class Embed(Struct, frozen=True, tag="embed"):
    """`adapters`: paths and scales, as for a request."""

    call: int
    request: EmbedRequest
    adapters: tuple[AdapterRef, ...] = ()


class Rerank(Struct, frozen=True, tag="rerank"):
    call: int
    request: RerankRequest


class Forget(Struct, frozen=True, tag="forget"):
    """Nobody waits for the answer to `call` any more."""

    call: int


class Count(Struct, frozen=True, tag="count"):
    """How many tokens the prompt of `request` has, before it is fitted into a window."""

    call: int
    request: GenerationRequest


class Shrink(Struct, frozen=True, tag="shrink"):
    """Give up the KV cache and the compute buffers, keep the weights. Only to a worker that has nothing to do.

    Answered with `Resized`, whose KV cache is no smaller where the backend cannot. Whatever needs the cache next makes
    it anew, and `Resized` tells of that too.
    """


class Stop(Struct, frozen=True, tag="stop"):
    """Free the model and exit; also ends a load."""


Question = Tokenize | Detokenize | Render | Count | Embed | Rerank
"""What is answered with a `Reply`."""

ToWorker = (
    Load
    | Probe
    | Submit
    | Cancel
    | Tokenize
    | Detokenize
    | Render
    | Count
    | Embed
    | Rerank
    | Forget
    | Shrink
    | Stop
)

# --- worker to engine ---------------------------------------------------------------------------------------


class Hello(Struct, frozen=True, tag="hello"):
    protocol: int
    pid: int


class LoadProgress(Struct, frozen=True, tag="progress"):
    stage: str
    fraction: float | None


class Ready(Struct, frozen=True, tag="ready"):
    facts: ModelFacts
    memory: MemoryUse


class Probed(Struct, frozen=True, kw_only=True, tag="probed"):
    """The file of a `Probe` can be loaded."""

    dry_run: DryRun | None = None
    devices: tuple[Device, ...] = ()


class LoadFailed(Struct, frozen=True, tag="load_failed"):
    """The load ended in an error that the backend understood; the worker exits after it."""

    error: ErrorInfo


class Piece(Struct, frozen=True, array_like=True, tag=0):
    """A `Delta` in its compact form: it is most of what travels."""

    key: int
    t_ns: int
    choice: int
    reasoning: bool
    text: str
    tokens: int
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Notice(Struct, frozen=True, array_like=True, tag=1):
    """Any other event of a stream."""

    key: int
    event: StreamEvent


Item = Piece | Notice


class StepFrame(Struct, frozen=True, tag="step"):
    """What one step, or several that had to wait for the reader, gave to all streams, in order."""

    items: list[Item]


class Reply(Struct, frozen=True, tag="reply"):
    """Answer to the question numbered `call`; exactly one of `error` and a value."""

    call: int
    tokens: tuple[int, ...] | None = None
    text: str | None = None
    pieces: tuple[bytes, ...] | None = None
    count: int | None = None
    embeddings: Embeddings | None = None
    ranking: Ranking | None = None
    error: ErrorInfo | None = None


class Resized(Struct, frozen=True, tag="resized"):
    """The model holds another amount of memory than before."""

    memory: MemoryUse


class LogLines(Struct, frozen=True, tag="log"):
    lines: list[tuple[str, str]]
    """(level, text), oldest first."""


FromWorker = Hello | LoadProgress | Ready | Probed | LoadFailed | StepFrame | Reply | Resized | LogLines

_encoder = msgspec.msgpack.Encoder()
_T = TypeVar("_T")


class WireError(Exception):
    """Bytes that are no frame of this protocol."""


def encode(frame: ToWorker | FromWorker) -> bytes:
    """One frame, length included."""
    buffer = bytearray(4)
    _encoder.encode_into(frame, buffer, 4)
    _LENGTH.pack_into(buffer, 0, len(buffer) - 4)
    return bytes(buffer)


class Decoder(Generic[_T]):
    """Turns bytes in any portions into frames. Raises WireError for bytes that are none."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[_T]) -> None:
        self._decode = decoder.decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[_T]:
        """The frames that `data` completes; consume the iterator before the next call."""
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= 4:
                (length,) = _LENGTH.unpack_from(buffer, start)
                if length > MAX_FRAME:
                    raise WireError(f"a frame of {length} bytes")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                body = bytes(memoryview(buffer)[start + 4 : end])
                start = end
                try:
                    frame = self._decode(body)
                except msgspec.DecodeError as error:
                    raise WireError(str(error)) from None
                yield frame
        finally:
            del buffer[:start]


def worker_side() -> Decoder[ToWorker]:
    """A decoder of what the engine sends."""
    return Decoder(msgspec.msgpack.Decoder(ToWorker))


def engine_side() -> Decoder[FromWorker]:
    """A decoder of what a worker sends."""
    return Decoder(msgspec.msgpack.Decoder(FromWorker))

"""The private protocol: any frame survives any portioning, garbage is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ErrorInfo
from engine.library.shape import DryRun, Matrix
from engine.runtime.backends.base import LoadSpec
from engine.runtime.limits import Limits
from engine.runtime.wire import (
    Cancel,
    Count,
    Detokenize,
    FromWorker,
    Hello,
    Load,
    LoadFailed,
    LoadProgress,
    LogLines,
    Notice,
    Piece,
    Probe,
    Probed,
    Reply,
    Resized,
    Shrink,
    StepFrame,
    Stop,
    Submit,
    Tokenize,
    ToWorker,
    WireError,
    encode,
    engine_side,
    worker_side,
)
from engine.types import (
    AdapterRef,
    Constraint,
    Device,
    DeviceNeed,
    Done,
    Finished,
    GenerationRequest,
    ImagePart,
    LoadOptions,
    MemoryUse,
    Message,
    Prefill,
    Sampling,
    TextPart,
    TokenLogprob,
    Tool,
    Usage,
)

keys = st.integers(0, 2**40)
texts = st.text(max_size=20)
logprob = st.builds(
    TokenLogprob,
    st.integers(0, 2**20),
    st.binary(max_size=8),
    st.floats(-100, 0),
    st.just((TokenLogprob(1, b"x", -1.0),)),
)
piece = st.builds(
    Piece,
    keys,
    st.integers(0, 2**62),
    st.integers(0, 127),
    st.booleans(),
    texts,
    st.integers(0, 9),
    st.lists(st.integers(0, 2**20), max_size=3).map(tuple),
    st.lists(logprob, max_size=2).map(tuple),
)
notice = st.builds(
    Notice,
    keys,
    st.one_of(
        st.builds(Prefill, done=st.integers(0, 99), total=st.integers(0, 99)),
        st.builds(Finished, reason=st.sampled_from(["stop", "length"]), stop_string=st.none() | texts),
        st.builds(Done, reason=st.just("finished"), usage=st.builds(Usage, prompt_tokens=st.integers(0, 99))),
    ),
)
from_worker: st.SearchStrategy[FromWorker] = st.one_of(
    st.builds(StepFrame, st.lists(st.one_of(piece, notice), max_size=5)),
    st.builds(Hello, st.integers(0, 9), st.integers(1, 2**22)),
    st.builds(LoadProgress, texts, st.none() | st.floats(0, 1)),
    st.builds(Reply, keys, text=texts),
    st.builds(Reply, keys, count=keys),
    st.builds(
        Probed,
        dry_run=st.builds(
            DryRun,
            kv_cache=st.dictionaries(texts, keys, max_size=2),
            layers=st.lists(texts, max_size=2).map(tuple),
            rearranged=st.just((Matrix("Q4_0", (64, 32)),)),
        ),
        devices=st.just((Device(name="CUDA0", kind="gpu", free=1, total=2),)),
    ),
    st.builds(Resized, st.builds(MemoryUse, kv_cache=keys, devices=st.just((DeviceNeed(device="CPU"),)))),
    st.builds(LogLines, st.lists(st.tuples(texts, texts), max_size=3)),
    st.builds(LoadFailed, st.builds(ErrorInfo, code=texts, what=texts)),
)
request = st.builds(
    GenerationRequest,
    model=texts,
    messages=st.just(
        (Message(role="user", content=(TextPart("see"), ImagePart(data=b"\x00\xff"))),),
    ),
    stop=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
    sampling=st.fixed_dictionaries({"temperature": st.floats(0, 5)}),
    tools=st.just((Tool(name="look", parameters={"type": "object"}),)),
    constraint=st.none() | st.just(Constraint(kind="choice", value=["a", "b"])),
)
to_worker: st.SearchStrategy[ToWorker] = st.one_of(
    st.builds(
        Submit,
        key=keys,
        request=request,
        sampling=st.just(Sampling(logit_bias={3: -1.5})),
        seed=st.integers(0, 2**32 - 1),
        adapters=st.just((AdapterRef("/a.gguf", 0.5),)),
    ),
    st.builds(Cancel, keys),
    st.builds(Tokenize, keys, texts, st.booleans()),
    st.builds(Detokenize, keys, st.lists(st.integers(0, 99)).map(tuple)),
    st.just(Stop()),
    st.just(Shrink()),
    st.builds(Count, keys, request),
    st.just(
        Probe(
            backend="llama",
            spec=LoadSpec(model="m", path="/p", options=LoadOptions(cells=512)),
            matrices=(Matrix("F16", (2, 3)),),
        )
    ),
    st.just(Load("llama", LoadSpec(model="m", path="/p", options=LoadOptions(context=8)), Limits())),
)


@given(st.lists(from_worker, max_size=6), st.integers(1, 50))
def test_what_a_worker_sends_survives_any_portions(frames: list[FromWorker], size: int) -> None:
    data = b"".join(encode(frame) for frame in frames)
    decoder = engine_side()
    got = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert got == frames


@given(st.lists(to_worker, max_size=4), st.integers(1, 50))
def test_what_the_engine_sends_survives_any_portions(frames: list[ToWorker], size: int) -> None:
    data = b"".join(encode(frame) for frame in frames)
    decoder = worker_side()
    got = [frame for at in range(0, len(data), size) for frame in decoder.feed(data[at : at + size])]
    assert got == frames


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1", encode(Stop()), b"\x03\x00\x00\x00abc"]
)
def test_bytes_that_are_no_frame_of_a_worker_are_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        list(engine_side().feed(data))


def test_frames_before_garbage_are_still_given() -> None:
    decoder = engine_side()
    frames = decoder.feed(encode(Hello(1, 2)) + b"\xff\xff\xff\xff")
    assert next(frames) == Hello(1, 2)
    with pytest.raises(WireError):
        next(frames)

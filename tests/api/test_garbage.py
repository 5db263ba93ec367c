"""Whatever is sent, the answer is an answer: garbage never becomes a 500, and the server lives."""

from __future__ import annotations

import string
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.answering.result import Result
from api.dialects.ollama.codec import OllamaCodec
from api.dialects.openai.chat_codec import ChatCodec, Head
from api.reading.body import parse
from api.reading.fields import Fields
from api.reading.sampling import sampling_of, stops_of
from api.security.hosts import host_allowed, host_of
from engine.errors import HearthError
from engine.types import Delta, Done, Finished, ToolDelta
from tests.api.wire import sse
from tests.tiers import examples

TEXT = st.text(max_size=20)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = """
    messages prompt suffix system tools tool_choice response_format stream stream_options n best_of echo logprobs
    top_logprobs max_tokens max_completion_tokens temperature top_p top_k min_p seed stop stop_sequences logit_bias
    reasoning_effort thinking options keep_alive format think images context raw truncate shift grammar json_schema
    guided_choice structured_outputs chat_template_kwargs adapters lora input dimensions encoding_format content
    tokens n_predict query documents output_config template typical_p repeat_penalty mirostat samplers
""".split()
PATHS = [
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens",
    "/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show", "/chat", "/completion", "/infill",
    "/tokenize", "/detokenize", "/apply-template", "/rerank", "/embedding", "/adapters/load",
]  # fmt: skip
USUAL: dict[str, Any] = {
    "model": "scripted:text=hi", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "max_tokens": 2,
    "options": {"num_predict": 2}, "n_predict": 2, "input": "x",
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=examples(12), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3))
def test_no_body_makes_a_defect(client: httpx.Client, path: str, changes: dict[str, Any]) -> None:
    import json

    # As JavaScript's and Python's writers do it: NaN and lone surrogates too.
    body = json.dumps({**USUAL, **changes}).encode("utf-8", "replace")
    response = client.post(path, content=body)
    assert response.status_code < 500, (response.status_code, response.text, body)


@given(st.binary(max_size=200))
def test_bytes_are_json_or_a_refusal(raw: bytes) -> None:
    try:
        parse(raw)
    except HearthError as error:
        assert error.http_status == 400


@given(st.dictionaries(st.sampled_from(["seed", "logit_bias", "stop", "top_k", "samplers", "n"]), JSON))
def test_sampling_values_are_read_or_refused(body: dict[str, Any]) -> None:
    fields = Fields(body)
    try:
        sampling_of(fields)
        stops_of(fields)
    except HearthError as error:
        assert error.http_status == 400 and error.param


@given(st.text(alphabet=string.printable, max_size=40))
def test_no_host_passes_but_ours(header: str) -> None:
    assert not host_allowed(header, ()) or host_of(header) in ("localhost", "127.0.0.1", "::1")


PIECES = st.lists(
    st.tuples(st.sampled_from(["content", "reasoning"]), st.text(min_size=1, max_size=8)),
    min_size=1,
    max_size=12,
)


@given(PIECES)
def test_any_text_comes_through_a_stream_as_it_was(pieces: list[tuple[Any, str]]) -> None:
    import json

    chat, ollama, result = ChatCodec(Head("id", 0, "m"), usage=False), OllamaCodec("m", "chat", {}), Result()
    sent, told = b"", b""
    events: list[Any] = [Delta(kind=kind, text=text) for kind, text in pieces]
    events += [
        ToolDelta(index=0, id="call_1", name="f", arguments='{"a"'),
        ToolDelta(index=0, arguments=":1}"),
    ]
    for event in (*events, Finished(reason="tool_calls"), Done(reason="finished")):
        sent += chat.event(event)
        told += ollama.event(event)
        result.add(event)
    content, reasoning, arguments = "", "", ""
    for _, data in sse(sent.decode()):
        if data != "[DONE]":
            delta = json.loads(data)["choices"][0]["delta"]
            content += delta.get("content") or ""
            reasoning += delta.get("reasoning") or ""
            arguments += "".join(call["function"]["arguments"] for call in delta.get("tool_calls", ()))
    assert (content, reasoning) == (result.first.text, result.first.reasoning)
    assert arguments == result.first.calls[0].arguments == '{"a":1}'
    # Of the bytes, since Python's splitlines knows more ends of lines than a wire does.
    messages = [json.loads(line)["message"] for line in told.split(b"\n") if line]
    assert "".join(one["content"] for one in messages) == content
    assert "".join(one.get("thinking", "") for one in messages) == reasoning
    assert [call["function"]["arguments"] for one in messages for call in one.get("tool_calls", ())] == [
        {"a": 1}
    ]

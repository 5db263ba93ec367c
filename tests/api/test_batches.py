"""Batches, files and background responses with the protocols' own client libraries, and what they refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api import Server
from tests.api.wire import HELLO, sse

ECHO = "scripted:pieces=words"
FOR_EVER = "scripted:tokens=100000,delay_ms=10"


@pytest.fixture
def openai(server: Server) -> Any:
    library = pytest.importorskip("openai")
    with library.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def anthropic(server: Server) -> Any:
    library = pytest.importorskip("anthropic")
    with library.Anthropic(base_url=server.url, api_key="none", max_retries=0) as made:
        yield made


def until(look: Callable[[], Any], ended: Callable[[Any], bool], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not ended(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def line(custom: str, url: str = "/v1/chat/completions", **body: Any) -> dict[str, Any]:
    return {"custom_id": custom, "method": "POST", "url": url, "body": {"model": ECHO, **body}}


def chat(custom: str, text: str, **body: Any) -> dict[str, Any]:
    return line(custom, messages=[{"role": "user", "content": text}], **body)


def begin(
    openai: Any, lines: list[dict[str, Any]], endpoint: str = "/v1/chat/completions", **said: Any
) -> Any:
    data = "\n".join(json.dumps(each) for each in lines).encode()
    file = openai.files.create(file=("lines.jsonl", data), purpose="batch")
    return openai.batches.create(
        input_file_id=file.id, endpoint=endpoint, **{"completion_window": "24h", **said}
    )


def ended(openai: Any, batch: Any) -> Any:
    over = ("completed", "failed", "expired", "cancelled")
    return until(lambda: openai.batches.retrieve(batch.id), lambda found: found.status in over)


def lines_in(openai: Any, file: str) -> dict[str, Any]:
    return {
        found["custom_id"]: found for found in map(json.loads, openai.files.content(file).text.splitlines())
    }


def test_openai_files(openai: Any) -> None:
    made = openai.files.create(file=("a.jsonl", b'{"x": 1}\n'), purpose="batch")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", 9, "a.jsonl", "batch")
    assert openai.files.retrieve(made.id) == made
    assert openai.files.content(made.id).read() == b'{"x": 1}\n'
    assert made.id in [each.id for each in openai.files.list(purpose="batch")]
    assert openai.files.delete(made.id).deleted
    with pytest.raises(Exception, match="404"):
        openai.files.retrieve(made.id)


def test_openai_batch_of_chats(openai: Any) -> None:
    lines = [chat(f"c{n}", f"number {n}") for n in range(6)]
    lines += [chat("wrong", "x", temperature="hot"), chat("nobody", "x", model="no-such-model")]
    batch = begin(openai, lines, metadata={"for": "a test"})
    assert (batch.object, batch.endpoint, batch.metadata) == (
        "batch",
        "/v1/chat/completions",
        {"for": "a test"},
    )
    batch = ended(openai, batch)
    assert batch.status == "completed"
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (8, 6, 2)
    good = lines_in(openai, batch.output_file_id)
    assert list(good) == [f"c{n}" for n in range(6)], "in the order of the file"
    for n in range(6):
        body = good[f"c{n}"]["response"]["body"]
        assert good[f"c{n}"]["response"]["status_code"] == 200 and good[f"c{n}"]["error"] is None
        assert body["object"] == "chat.completion" and body["model"] == ECHO
        assert body["choices"][0]["message"]["content"] == f"You said: number {n}"
        assert body["usage"]["total_tokens"] > 0
    bad = lines_in(openai, batch.error_file_id)
    assert bad["wrong"]["response"]["status_code"] == 400
    assert bad["nobody"]["response"]["status_code"] == 404
    assert bad["wrong"]["response"]["body"]["error"]["param"] == "temperature"
    assert batch.id in [each.id for each in openai.batches.list(limit=5).data]


@pytest.mark.parametrize("endpoint", ["/v1/completions", "/v1/embeddings", "/v1/responses"])
def test_openai_batches_of_other_endpoints(openai: Any, endpoint: str) -> None:
    body: dict[str, Any] = {"input": ["warm", "cold"], "model": "ember"}
    if endpoint == "/v1/completions":
        body = {"prompt": "Once upon", "max_tokens": 4, "model": "ember", "temperature": 0}
    elif endpoint == "/v1/responses":
        body = {"input": "good day"}
    batch = ended(openai, begin(openai, [line("one", endpoint, **body)], endpoint))
    assert batch.status == "completed" and batch.error_file_id is None, batch
    answer = lines_in(openai, batch.output_file_id)["one"]["response"]["body"]
    match endpoint:
        case "/v1/embeddings":
            assert [len(each["embedding"]) for each in answer["data"]] == [
                len(answer["data"][0]["embedding"])
            ] * 2
        case "/v1/completions":
            assert answer["choices"][0]["text"] and answer["object"] == "text_completion"
        case _:
            assert answer["status"] == "completed"
            assert answer["output"][0]["content"][0]["text"] == "You said: good day"


def test_openai_batch_is_cancelled(openai: Any) -> None:
    batch = begin(openai, [chat("quick", "hi"), *(chat(f"c{n}", "x", model=FOR_EVER) for n in range(6))])
    until(lambda: openai.batches.retrieve(batch.id), lambda found: found.request_counts.completed == 1)
    openai.batches.cancel(batch.id)
    batch = ended(openai, batch)
    assert batch.status == "cancelled" and batch.cancelled_at
    assert list(lines_in(openai, batch.output_file_id)) == ["quick"], "what is done stays"
    assert {each["error"]["code"] for each in lines_in(openai, batch.error_file_id).values()} == {
        "batch_cancelled"
    }


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([{"custom_id": "a"}], "invalid_method"), ([chat("a", "x"), chat("a", "y")], "duplicate_custom_id"),
        ([line("a", "/v1/completions")], "mismatched_endpoint"), ([chat("a", "x", stream=True)], "invalid_request"),
        ([chat("", "x")], "missing_required_parameter"), ([], "empty_file"), ([[1]], "invalid_json_line"),
    ],
)  # fmt: skip
def test_a_file_with_a_fault_is_a_batch_that_failed(openai: Any, lines: list[Any], code: str) -> None:
    batch = begin(openai, lines)
    assert batch.status == "failed" and batch.errors.data[0].code == code
    assert batch.output_file_id is None and batch.request_counts.completed == 0


def test_what_no_batch_can_be_made_of(client: httpx.Client, openai: Any) -> None:
    file = openai.files.create(file=("a.jsonl", b"x"), purpose="batch").id
    for body, status in (
        ({"input_file_id": file, "endpoint": "/v1/audio"}, 400),
        ({"input_file_id": "file-none", "endpoint": "/v1/completions"}, 404),
        ({"input_file_id": file, "endpoint": "/v1/completions", "completion_window": "soon"}, 400),
    ):
        answer = client.post("/v1/batches", json=body)
        assert answer.status_code == status and answer.json()["error"]["message"]
    assert client.post("/v1/files", json={"file": "x"}).status_code == 400
    assert client.post("/v1/files", files={"file": b"x"}, data={"purpose": "odd"}).status_code == 400
    assert client.post("/v1/files", data={"purpose": "batch"}, files={"other": b"x"}).status_code == 400


def test_anthropic_batches(anthropic: Any) -> None:
    def params(text: str, **said: Any) -> dict[str, Any]:
        return {"model": ECHO, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **said}

    requests = [{"custom_id": f"m{n}", "params": params(f"number {n}")} for n in range(4)]
    requests += [
        {"custom_id": "none", "params": params("x", model="no-such-model")},
        {"custom_id": "wrong", "params": params("x", max_tokens=-1)},
    ]
    batch = anthropic.messages.batches.create(requests=requests)
    assert batch.type == "message_batch" and batch.processing_status in ("in_progress", "ended")
    batch = until(
        lambda: anthropic.messages.batches.retrieve(batch.id),
        lambda found: found.processing_status == "ended",
    )
    counts = batch.request_counts
    assert (counts.succeeded, counts.errored, counts.processing, counts.canceled) == (4, 2, 0, 0)
    assert batch.ended_at and batch.results_url.endswith(f"/v1/messages/batches/{batch.id}/results")
    found = {each.custom_id: each.result for each in anthropic.messages.batches.results(batch.id)}
    for n in range(4):
        message = found[f"m{n}"].message
        assert message.content[0].text == f"You said: number {n}" and message.stop_reason == "end_turn"
        assert message.usage.output_tokens > 0
    assert found["none"].error.error.type == "not_found_error"
    assert found["wrong"].error.error.type == "invalid_request_error"
    assert batch.id in [each.id for each in anthropic.messages.batches.list(limit=3)]
    assert anthropic.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(Exception, match="404"):
        anthropic.messages.batches.retrieve(batch.id)


def test_an_anthropic_batch_is_cancelled(anthropic: Any, client: httpx.Client) -> None:
    ask = {"model": FOR_EVER, "max_tokens": 100_000, "messages": HELLO}
    batch = anthropic.messages.batches.create(requests=[{"custom_id": "a", "params": ask}])
    assert client.get(f"/v1/messages/batches/{batch.id}/results").status_code == 404
    assert client.delete(f"/v1/messages/batches/{batch.id}").status_code == 409
    assert anthropic.messages.batches.cancel(batch.id).cancel_initiated_at
    assert [each.result.type for each in anthropic.messages.batches.results(batch.id)] == ["canceled"]


def test_openai_responses_in_the_background(openai: Any) -> None:
    made = openai.responses.create(
        model="scripted:delay_ms=10,text=one two three", input="Hi", background=True
    )
    assert made.status == "queued"
    found = until(lambda: openai.responses.retrieve(made.id), lambda response: response.status == "completed")
    assert found.output_text == "one two three" and found.usage.total_tokens > 0
    assert found == openai.responses.retrieve(made.id), "the same each time"
    next_ = openai.responses.create(
        model=ECHO, input="and then?", previous_response_id=made.id, background=True
    )
    after = until(
        lambda: openai.responses.retrieve(next_.id), lambda response: response.status == "completed"
    )
    assert after.usage.input_tokens > found.usage.input_tokens
    running = openai.responses.create(model=FOR_EVER, input="Hi", background=True)
    assert openai.responses.cancel(running.id).status == "cancelled"
    openai.responses.delete(running.id)
    with pytest.raises(Exception, match="404"):
        openai.responses.retrieve(running.id)


def test_a_background_stream_is_taken_up_again_where_it_broke_off(client: httpx.Client, openai: Any) -> None:
    text = " ".join(f"w{n}" for n in range(30))
    ask = {"model": f"scripted:delay_ms=15,text={text}", "input": "Hi", "background": True, "stream": True}
    seen: list[dict[str, Any]] = []
    with client.stream("POST", "/v1/responses", json=ask) as answer:
        for piece in answer.iter_lines():
            if piece.startswith("data: "):
                seen.append(json.loads(piece[6:]))
            if len(seen) == 12:
                break  # the client goes, the response does not
    id, last = seen[0]["response"]["id"], seen[-1]["sequence_number"]
    rest = client.get(f"/v1/responses/{id}", params={"stream": "true", "starting_after": last})
    more = [json.loads(data) for _, data in sse(rest.text) if data != "[DONE]"]
    assert [event["sequence_number"] for event in seen + more] == list(range(len(seen + more)))
    joined = "".join(e["delta"] for e in seen + more if e["type"] == "response.output_text.delta")
    assert joined == text and more[-1]["type"] == "response.completed"
    # When it ended is the job's to say, and so the same for whoever asks whenever.
    assert more[-1]["response"]["completed_at"] == client.get(f"/v1/responses/{id}").json()["completed_at"]
    again = client.get(f"/v1/responses/{id}", params={"stream": "true"})
    assert [json.loads(data) for _, data in sse(again.text) if data != "[DONE]"][len(seen) :] == more


def test_batches_and_files_of_another_key_are_not_there(
    server: Server, client: httpx.Client, openai: Any
) -> None:
    mine = begin(openai, [chat("a", "x")])
    keyring = server.hub.keyring
    secret = keyring.create("batch-other", ("generate",))[1]
    until(lambda: keyring.check(secret), bool)
    other = {"authorization": f"Bearer {secret}"}
    for method, path in (
        ("GET", f"batches/{mine.id}"), ("POST", f"batches/{mine.id}/cancel"), ("GET", f"files/{mine.input_file_id}"),
        ("GET", f"files/{mine.input_file_id}/content"), ("DELETE", f"files/{mine.input_file_id}"),
    ):  # fmt: skip
        assert client.request(method, f"/v1/{path}", headers=other).status_code == 404
    assert client.get("/v1/batches", headers=other).json()["data"] == []
    assert client.get("/v1/files", headers=other).json()["data"] == []
    stolen = {"input_file_id": mine.input_file_id, "endpoint": "/v1/chat/completions"}
    assert client.post("/v1/batches", json=stolen, headers=other).status_code == 404

"""Requests made to do harm, by the doors that clients have: each is answered or refused, and the server goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from engine import LocalEngine
from tests.api.conftest import Open
from tests.api.wire import HELLO
from tests.engine.prompt.hostile import BOMBS
from tests.tiers import is_long, mostly_long

SAID = {"model": "ember", "max_tokens": 2, "temperature": 0}
FIRST = {
    "grammar": ("left recursion", "50,000 brackets", "empty loop"),
    "schema": ("length of a billion", "5,000 properties"),
    "regex": (),
}
"""Those of the fast tier; that none of them kills or holds up a worker, the engine's own tests measure."""
PAIRS = [(kind, name) for kind, made in BOMBS.items() for name in made() if "deep" not in name]
"""Without those that Python's own encoder cannot write; `RAW` has one as deep as they are."""


@pytest.mark.parametrize(
    ("kind", "name"),
    mostly_long(PAIRS, [(kind, name) for kind, names in FIRST.items() for name in names]),
)
def test_a_form_that_is_a_bomb_is_held_or_refused(
    client: httpx.Client, api_engine: LocalEngine, kind: str, name: str
) -> None:
    bomb = BOMBS[kind]()[name]
    chat: dict[str, Any] = {**SAID, "messages": HELLO}
    generate: dict[str, Any] = {
        "model": "ember",
        "prompt": "x",
        "stream": False,
        "options": {"num_predict": 2},
    }
    if kind == "schema":
        named = {"type": "json_schema", "json_schema": {"name": "x", "schema": bomb}}
        asks = [("/v1/chat/completions", {**chat, "response_format": named})]
        asks.append(("/api/generate", {**generate, "format": bomb}))
    else:
        field = {"grammar": "grammar", "regex": "guided_regex"}[kind]
        asks = [(path, {**body, field: bomb}) for path, body in (("/v1/chat/completions", chat),)]
        if kind == "grammar":
            asks.append(("/api/generate", {**generate, field: bomb}))
    workers = [each.pid for each in api_engine.loaded() if each.id == "ember"]
    for path, body in asks:
        answer = client.post(path, json=body)
        assert answer.status_code in (200, 400), (path, answer.status_code, answer.text[:300])
    if workers:
        assert [each.pid for each in api_engine.loaded() if each.id == "ember"] == workers
    assert client.get("/health").status_code == 200


def test_a_body_of_very_many_parts_is_refused_unread(client: httpx.Client) -> None:
    for body in (b'{"model": "ember", "messages": [' + b"[]," * 250_000 + b"[]]}", b"[" * 300_000):
        answer = client.post("/v1/chat/completions", content=body)
        assert answer.status_code == 400 and "too many parts" in answer.text


NUMBERS = [-1, 0, 10**6, 10**23, 1e38, -1e38, 2**40, 0.5, "NaN", "", None, True, [], {}]
BOMBS_BY_FIELD: dict[str, list[Any]] = {
    "n": NUMBERS,
    "max_tokens": [*NUMBERS, 2**31],
    "temperature": NUMBERS,
    "top_k": NUMBERS,
    "seed": NUMBERS,
    "repeat_penalty": NUMBERS,
    "stop": [["x"] * 100_000, ["x" * 100_000], [""], [1], {"a": 1}],
    "logit_bias": [{"-5": 1e38}, {"5": 1e38}, {str(2**31): 1}, {str(n): 1 for n in range(5000)}, [[1]]],
    "keep_alive": [1e300, -1e300, "1e9h", [], {}],
    "options": [
        {"num_thread": 100_000}, {"num_ctx": 2_147_483_647}, {"num_ctx": -1, "num_batch": 0}, {"num_batch": 10**9},
        {"num_gpu": 10**12}, {"num_predict": 10**30}, {"top_k": 1e308}, {"num_keep": 2**63}, [], "x",
    ],
    "messages": [[HELLO[0]] * 3000, [{"role": "user", "content": [[]]}], [None], 5, "x", [[]]],
    "tools": [[{}], [None], [{"type": "function"}], [{"type": "function", "function": {"name": "x" * 10**5}}] * 200],
    "adapters": [["../../x"], [{"name": "pirate", "scale": 1e38}], [5], "/etc/passwd", {"a": 1}],
    "chat_template_kwargs": [{"enable_thinking": "x"}, {"x": "{{ 1 }}"}, 5],
}  # fmt: skip


@pytest.mark.parametrize(
    "field", mostly_long(BOMBS_BY_FIELD, ("stop", "logit_bias", "options", "chat_template_kwargs"))
)
def test_a_value_that_is_a_bomb_is_used_or_refused(client: httpx.Client, field: str) -> None:
    for value in BOMBS_BY_FIELD[field]:
        ask = {"model": "scripted:text=hi,context=4096", "messages": HELLO, "max_tokens": 2, field: value}
        for path in ("/v1/chat/completions", "/api/chat"):
            body = {**ask, "stream": False}
            if path == "/api/chat":
                body.pop("max_tokens")
                options = dict(ask["options"]) if isinstance(ask.get("options"), dict) else {}
                body["options"] = {"num_predict": 2, **options} if field != "options" else value
            answer = client.post(path, json=body)
            shown = str(value)[:60]
            assert answer.status_code in (200, 400, 403), (path, field, shown, answer.text[:300])


RAW = {
    "bytes that are no text": b'{"model":"\xff"}',
    "a million brackets": b"[" * 1_000_000,
    "names twice": b'{"model":"a","model":{"b":1}}',
    "half a pair": b'{"model":"\\ud800"}',
    "a zero": b'{"model":"a\x00b"}',
    "another encoding": '{"model":"ember"}'.encode("utf-16"),
    "not a number": b'{"model":"ember","temperature":NaN}',
    "a number without end": b'{"model":"ember","seed":' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", list(RAW))
def test_bytes_that_are_no_request(client: httpx.Client, name: str) -> None:
    for path in ("/v1/chat/completions", "/api/generate", "/v1/messages", "/v1/responses", "/hearth/v1/load"):
        answer = client.post(path, content=RAW[name])
        assert answer.status_code in (400, 403, 404), (path, answer.status_code, answer.text[:200])


def test_names_and_digests_write_nothing_outside(open_server: Open, tmp_path: Path) -> None:
    """Whatever is said to those who make, copy and send: only the server's own folder changes."""
    server = open_server()
    beside = {file for file in tmp_path.rglob("*") if not file.is_relative_to(tmp_path / "home")}
    names = [
        "../../out", "..%2f..%2fout", "sha256:../../out", "C:\\out", "//h/out", "a\0out", "o" * 10_000, "./out",
        "..", "out/../../out", "~/out", f"{tmp_path}/out", "a/../../../out", "\u202eout", "out\nout", "-out", ".out",
    ]  # fmt: skip
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for name in names if is_long() else names[:5]:
            for method, path, body in (
                ("POST", "/api/create", {"model": name, "from": "ember", "stream": False}),
                ("POST", "/api/copy", {"source": "ember", "destination": name}),
                ("DELETE", "/api/delete", {"model": name}),
                ("POST", "/api/show", {"model": name}),
                ("POST", "/adapters/load", {"adapter_name": name, "model": "ember"}),
                ("POST", "/models/load", {"model": name}),
            ):
                answer = client.request(method, path, json=body)
                assert 400 <= answer.status_code < 500, (method, path, name, answer.status_code)
            sent = client.post(f"/api/blobs/{quote(name[:2000], safe='')}", content=b"x")
            assert 400 <= sent.status_code < 500, (name, sent.status_code)
    now = {file for file in tmp_path.rglob("*") if not file.is_relative_to(tmp_path / "home")}
    assert now == beside

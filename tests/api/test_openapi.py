"""The OpenAPI document is true: every route is in it, what it allows is answered, and answers are as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import Server
from api.dialects import routes
from api.openapi.document import document
from api.openapi.operations import operation_of
from api.openapi.table import table, written
from tests.api.schemas import misfit, values
from tests.api.wire import HELLO

ELSEWHERE = ("api.dialects.jobs", "api.dialects.batches", "api.dialects.sockets")
"""Rooms whose routes describe themselves by their first sentence alone."""
SCRIPTED = "scripted:text=hi there"
NOT_ASKED = (
    "/api/pull", "/api/delete", "/api/create", "/api/copy", "/hearth/v1/pull", "/hearth/v1/search_hub",
    "/hearth/v1/hub_card", "/hearth/v1/hub_files", "/hearth/v1/plan_pull", "/hearth/v1/newer_revisions",
    "/hearth/v1/cache_prune", "/hearth/v1/delete_weights", "/hearth/v1/verify_weights", "/hearth/v1/adopt",
    "/hearth/v1/load", "/models/load", "/hearth/v1/add_adapter", "/hearth/v1/conversations/delete",
    "/api/blobs/{digest}",
    "/hearth/v1/put_alias", "/hearth/v1/jobs/submit", "/hearth/v1/jobs/submit_batch", "/hearth/v1/import_alias",
    "/hearth/v1/metrics/record", "/hearth/v1/metrics/save_query",
)  # fmt: skip
"""What reaches for a network, deletes, changes what other tests see, or takes long: tests of their own ask it."""
DOCUMENT = document(routes())
COMPONENTS = DOCUMENT["components"]["schemas"]
BODIES = {
    path: told["post"]["requestBody"]["content"]["application/json"]["schema"]
    for path, told in DOCUMENT["paths"].items()
    if path not in NOT_ASKED
    and "application/json" in told.get("post", {}).get("requestBody", {}).get("content", {})
}
USUAL: dict[str, Any] = {
    "model": SCRIPTED, "stream": False, "background": False, "max_tokens": 2, "max_output_tokens": 2, "n": 1,
    "n_predict": 2, "max_completion_tokens": 2, "keep_alive": 300, "load": {}, "backend": "auto",
}  # fmt: skip


@pytest.fixture
def own(client: httpx.Client, server: Server) -> httpx.Client:
    client.headers["authorization"] = f"Bearer {server.hub.token}"
    return client


def test_every_route_is_described() -> None:
    for handler in routes():
        if handler.fn.__module__.startswith(ELSEWHERE):  # type: ignore[union-attr]
            continue
        for path in handler.paths:  # type: ignore[union-attr]
            for method in getattr(handler, "http_methods", set()) - {"OPTIONS"}:  # sockets have none
                assert operation_of(method, path) is not None, (method, path)
    listed = {(method.upper(), path) for path, told in DOCUMENT["paths"].items() for method in told}
    assert len(listed) > 150
    ids = [told["operationId"] for methods in DOCUMENT["paths"].values() for told in methods.values()]
    assert len(ids) == len(set(ids))
    assert all(told["summary"] for methods in DOCUMENT["paths"].values() for told in methods.values())


def test_only_native_routes_need_the_right_to_everything() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for told in methods.values():
            assert (told["x-hearth-scope"] == "admin") == path.startswith("/hearth/"), path


def test_the_page_of_routes_is_the_apps() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert written(page, table(DOCUMENT)) == page, "python -m api.openapi.table docs/api.md"


def test_no_reference_leads_nowhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(DOCUMENT))
    assert found and all(each.removeprefix("#/components/schemas/") in COMPONENTS for each in found)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in COMPONENTS)


def test_the_page_takes_nothing_from_elsewhere(server: Server, open_server: Any) -> None:
    locked = open_server(auth="required")
    for url in (server.url, locked.url):
        assert httpx.get(f"{url}/openapi.json").json()["openapi"] == "3.1.0"
        page = httpx.get(f"{url}/docs")
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        named = set(re.findall(r'(?:src|href)="([^"]+)"', page.text))
        assert named == {"/docs/page.css", "/openapi.json", "/docs/page.js"}
        for path in named:
            part = httpx.get(url + path)
            assert part.status_code == 200 and part.headers["x-content-type-options"] == "nosniff"
        script = httpx.get(f"{url}/docs/page.js").text
        assert "://" not in page.text + script and "innerHTML" not in script
        assert "<script>" not in page.text and "style=" not in page.text
    for name in ("page.html/../../app.py", "..%2fapp.py", "routes.py", "document.py"):
        assert httpx.get(f"{server.url}/docs/{name}").status_code in (403, 404)
    assert httpx.get(f"{server.url}/schema").status_code == 404


def answered(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    """Ask, and hold the answer against the document."""
    response = client.request(method, path, json=body)
    told = DOCUMENT["paths"][path][method.lower()]
    status = str(response.status_code)
    assert status in told["responses"] or f"{status[0]}XX" in told["responses"], (path, status, response.text)
    if response.status_code == 501:
        return response  # part of a protocol that is not here
    assert response.status_code < 500, (path, response.text, body)
    found = told["responses"].get(status) or told["responses"][f"{status[0]}XX"]
    kind = response.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json":
        schema = found["content"][kind]["schema"]
        wrong = misfit(response.json(), schema, COMPONENTS)
        assert not wrong, (path, wrong, response.text[:500])
    elif response.content:
        assert kind in found["content"], (path, kind)
    return response


GOOD: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/embeddings": {"model": "ember", "input": "Hello"},
    "/v1/responses": {"input": "Hello"},
    "/v1/responses/input_tokens": {"input": "Hello"},
    "/v1/responses/compact": {"input": "Hello"},
    "/v1/chat/completions/input_tokens": {"messages": HELLO},
    "/v1/messages": {"messages": HELLO},
    "/v1/messages/count_tokens": {"messages": HELLO},
    "/v1/systemone": {
        "model": "ember",
        "state": "x",
        "questions": {"a": {"type": "noul", "instructions": "Is it?"}},
    },
    "/v1/decisions": {
        "model": "ember",
        "input": "x",
        "questions": [{"type": "predicate", "instructions": "Is it?"}],
    },
    "/api/generate": {"prompt": "Hello"},
    "/api/chat": {"messages": HELLO},
    "/api/embed": {"model": "ember", "input": ["Hello"]},
    "/api/embeddings": {"model": "ember", "prompt": "Hello"},
    "/api/show": {"model": "ember"},
    "/chat": {"prompt": "Hello"},
    "/completion": {"prompt": "Hello"},
    "/tokenize": {"content": "Hello"},
    "/detokenize": {"tokens": [1, 2]},
    "/apply-template": {"messages": HELLO},
    "/embedding": {"model": "ember", "content": "Hello"},
    "/hearth/v1/generate": {"prompt": "Hello", "max_tokens": 2},
    "/hearth/v1/estimate": {"model": "ember"},
    "/hearth/v1/facts": {"model": "ember"},
    "/hearth/v1/setup": {"name": "ember"},
    "/hearth/v1/pieces": {"model": "ember", "tokens": [1, 2]},
    "/hearth/v1/fits": {"models": ["ember"]},
    "/hearth/v1/embed": {"model": "ember", "inputs": ["Hello"]},
    "/hearth/v1/conversations/find": {},
}


@pytest.mark.parametrize("path", list(GOOD))
def test_answers_are_as_the_document_says(own: httpx.Client, path: str) -> None:
    names = BODIES[path]
    known = _fields(names)
    body = {name: value for name, value in USUAL.items() if name in known and name != "load"} | GOOD[path]
    response = answered(own, "POST", path, body)
    assert response.status_code == 200, response.text
    # What the document offers is read, and not passed over.
    assert "x-hearth-ignored" not in response.headers


@pytest.mark.parametrize(
    "path",
    sorted(path for path, told in DOCUMENT["paths"].items() if "get" in told and "{" not in path),
)
def test_what_is_only_looked_at_is_as_the_document_says(own: httpx.Client, path: str) -> None:
    own.headers["accept"] = "*/*"
    assert answered(own, "GET", path).status_code == 200


def _fields(schema: Any) -> set[str]:
    """The names of all fields that a body may have."""
    if "$ref" in schema:
        return _fields(COMPONENTS[schema["$ref"].rpartition("/")[2]])
    found = set(schema.get("properties", ()))
    for word in ("allOf", "anyOf"):
        for each in schema.get(word, ()):
            found |= _fields(each)
    return found


def asked_at_random(own: httpx.Client, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(BODIES)))
    schema = BODIES[path]
    body = data.draw(values(schema, COMPONENTS))
    if isinstance(body, dict):
        known = _fields(schema)
        body = {**body, **{name: value for name, value in USUAL.items() if name in known}}
        if "options" in body:
            body["options"] = {"num_predict": 2}
        if path.startswith("/hearth/v1/conversations/") and "files" in body:
            body["files"] = {}
    answered(own, "POST", path, body)


@settings(
    max_examples=80, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(data=st.data())
def test_what_the_document_allows_is_answered(own: httpx.Client, data: st.DataObject) -> None:
    asked_at_random(own, data)


@pytest.mark.long
@pytest.mark.timeout(900)
@settings(
    max_examples=2500, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(data=st.data())
def test_what_the_document_allows_is_answered_many_times(own: httpx.Client, data: st.DataObject) -> None:
    asked_at_random(own, data)

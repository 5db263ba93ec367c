"""The native routes cover the engine's whole face, and speak its own Structs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from api import Server
from api.dialects import routes
from engine.conversations.face import Conversations
from engine.face import Engine
from engine.jobs.face import Jobs
from engine.metrics.face import Metrics
from engine.settings import Settings
from engine.types import (
    Alias,
    Attachment,
    ConversationPage,
    ConversationTree,
    Fit,
    GenerationRequest,
    Hardware,
    HardwarePoint,
    Job,
    JobOutcome,
    JobPage,
    JobUpdate,
    Listed,
    NamedAlias,
    Setup,
    StoredMessage,
)
from tests.api.conftest import Open
from tests.api.wire import sse

_OTHERWISE = {
    "cancel": "/hearth/v1/running/{request_id:str}",
    "cancel_pull": "/hearth/v1/pulls/{pull_id:str}",
    "cache_scan": "/hearth/v1/cache",
}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def own(client: httpx.Client, server: Server) -> httpx.Client:
    client.headers["authorization"] = f"Bearer {server.hub.token}"
    return client


@pytest.fixture
def admin(open_server: Open) -> Iterator[httpx.Client]:
    """A key with every right, which is still not this user's own program."""
    server = open_server()
    _, secret = server.hub.keyring.create("admin", scopes=("admin",))
    with httpx.Client(base_url=server.url, timeout=60) as made:
        made.headers["authorization"] = f"Bearer {secret}"
        yield made


def _methods(face: type) -> set[str]:
    return {name for base in face.__mro__ for name in vars(base) if not name.startswith("_")}


def test_every_method_of_the_face_has_a_route() -> None:
    paths = {path for handler in routes() for path in handler.paths}  # type: ignore[union-attr]
    for name in _methods(Engine) - {"close", "conversations", "jobs", "metrics"}:
        assert _OTHERWISE.get(name, f"/hearth/v1/{name}") in paths, name
    for name in _methods(Conversations):
        assert f"/hearth/v1/conversations/{name}" in paths, name
    for name in _methods(Metrics):
        assert f"/hearth/v1/metrics/{name}" in paths, name
    for name in _methods(Jobs) - {"work"}:  # what a server does by itself
        assert f"/hearth/v1/jobs/{name}" in paths, name


def test_aliases_and_prompts(own: httpx.Client) -> None:
    def ask(route: str, kind: Any = None, **body: Any) -> Any:
        response = own.post(f"/hearth/v1/{route}", content=msgspec.json.encode(body))
        assert response.status_code == 200, response.text
        return response.json() if kind is None else msgspec.json.decode(response.content, type=kind)

    made = Alias(model="ember", system="Be brief.", sampling={"temperature": 0.1})
    try:
        assert ask("put_prompt", name="tone", text="Kind.") == {"version": 1}
        assert ask("put_alias", name="brief", alias=made) == {"name": "brief"}
        assert ask("alias", NamedAlias, name="brief").alias == made
        assert ask("copy_alias", source="brief", name="terse") == {"name": "terse"}
        assert ask("rename_alias", source="terse", name="curt") == {"name": "curt"}
        text = ask("export_alias", name="curt")["text"]
        assert "SYSTEM Be brief." in text
        assert ask("import_alias", name="again", text=text) == {"remarks": []}
        setup = ask("setup", Setup, name="brief")
        assert (setup.model, setup.alias) == ("ember", made)
        listed = msgspec.json.decode(own.get("/hearth/v1/listing").content, type=list[Listed])
        assert {"brief", "curt", "again"} <= {one.name for one in listed if one.kind == "alias"}
        named = msgspec.json.decode(own.get("/hearth/v1/aliases").content, type=list[NamedAlias])
        assert {one.name for one in named} == {"brief", "curt", "again"}
        assert ask("put_prompt", name="tone", text="Stern.") == {"version": 2}
        assert ask("restore_prompt", name="tone", version=1) == {"version": 3}
        assert [one["text"] for one in ask("prompt", name="tone")["versions"]] == ["Kind.", "Stern.", "Kind."]
        assert own.get("/hearth/v1/prompts").json()[0]["name"] == "tone"
    finally:
        for name in ("brief", "curt", "again"):
            own.post("/hearth/v1/remove_alias", json={"name": name})
        ask("remove_prompt", name="tone")
    assert own.get("/hearth/v1/aliases").json() == []
    assert own.post("/hearth/v1/alias", json={"name": "brief"}).status_code == 404


def test_the_machine(own: httpx.Client, server: Server) -> None:
    found = own.post("/hearth/v1/fits", json={"models": ["ember"]})
    assert msgspec.json.decode(found.content, type=list[Fit])[0].verdict == "fits"
    assert msgspec.json.decode(own.get("/hearth/v1/hardware").content, type=Hardware).memory.total > 0
    history = own.get("/hearth/v1/hardware_history", params={"seconds": 60})
    msgspec.json.decode(history.content, type=list[HardwarePoint])
    for wrong in ("nan", "-1", "x", "1e99"):
        assert own.get("/hearth/v1/hardware_history", params={"seconds": wrong}).status_code == 400
    # Those it has, so that other tests find the server as it was.
    assert own.post("/hearth/v1/adopt", content=msgspec.json.encode(server.hub.settings)).json() == {}


def test_conversations_travel_with_their_pictures(admin: httpx.Client) -> None:
    def ask(route: str, kind: Any = None, **body: Any) -> Any:
        response = admin.post(f"/hearth/v1/conversations/{route}", content=msgspec.json.encode(body))
        assert response.status_code == 200, response.text
        return response.json() if kind is None else msgspec.json.decode(response.content, type=kind)

    picture = Attachment(name="dot.png", path="/home/elsewhere/dot.png", media_type="image/png")
    question = StoredMessage(id="q", role="user", content="See dot.png", attachments=(picture,))
    conversation = "c" * 32
    kept = ask(
        "save",
        list[StoredMessage],
        conversation=conversation,
        messages=[question],
        change={"title": "Seen"},
        files={picture.path: PNG},
    )
    assert kept[0].attachments[0].digest
    tree = ask("get", ConversationTree, conversation=conversation)
    assert (tree.summary.title, tree.messages[0].content) == ("Seen", "See dot.png")
    shown = {"conversation": conversation, "message": "q", "name": "dot.png"}
    assert admin.post("/hearth/v1/conversations/attachment", json=shown).content == PNG
    # What is kept needs no bytes a second time.
    again = ask("save", list[StoredMessage], conversation=conversation, messages=kept)
    assert again[0].attachments == kept[0].attachments
    answer = StoredMessage(id="a", parent="q", role="assistant", content="A d", state="writing")
    ask("save", conversation=conversation, messages=[answer])
    ask("journal", conversation=conversation, message=answer)
    ask("choose", conversation=conversation, message="a")
    page = ask("find", ConversationPage, text="dot.png")
    assert [one.summary.id for one in page.found] == [conversation]
    assert admin.get("/hearth/v1/conversations/labels").json() == {"folders": [], "tags": []}
    assert admin.get("/hearth/v1/conversations/told").json() == []
    file = ask("export", conversations=[conversation], form="json")
    (brought,) = ask("take_in", data=file["data"])["conversations"]
    taken = brought["summary"]
    ask("delete", conversations=[conversation, taken["id"]])
    left = {one.summary.id for one in ask("find", ConversationPage).found}
    assert not left & {conversation, taken["id"]}
    ask("restore", conversations=[taken["id"]])
    ask("delete", conversations=[taken["id"]])


def test_jobs_are_queued_watched_and_forgotten(own: httpx.Client) -> None:
    def ask(route: str, kind: Any = None, **body: Any) -> Any:
        response = own.post(f"/hearth/v1/jobs/{route}", content=msgspec.json.encode(body))
        assert response.status_code == 200, response.text
        return response.json() if kind is None else msgspec.json.decode(response.content, type=kind)

    asked = GenerationRequest(model="ember", prompt="Hello", max_tokens=3)
    made = ask("submit", Job, request=asked)
    response = own.post("/hearth/v1/jobs/watch", json={"job": made.id})
    updates = [msgspec.json.decode(data, type=JobUpdate) for _, data in sse(response.text)]
    assert updates[-1].job.over and updates[-1].job.state == "done"
    outcome = ask("outcome", JobOutcome, job=made.id)
    assert outcome.job.result and outcome.request is not None and outcome.request.max_tokens == 3
    assert made.id in [one.id for one in ask("find", JobPage, limit=5).jobs]
    kept = ask("keep_file", file={"id": "file-x", "name": "x", "purpose": "batch"}, data="aGk=")
    assert own.post("/hearth/v1/jobs/read_file", json={"file": kept["id"]}).content == b"hi"
    assert ask("files", purpose="batch")
    ask("drop_file", file=kept["id"])
    ask("drop", job=made.id)
    assert own.post("/hearth/v1/jobs/get", json={"job": made.id}).status_code == 404
    assert own.post("/hearth/v1/jobs/watch", json={"job": made.id}).status_code == 404
    path = {"request": {"model": "/etc/passwd", "prompt": "x"}}
    assert own.post("/hearth/v1/jobs/submit", json=path).status_code == 404


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("put_alias", {"name": "x", "alias": {"model": "/etc/passwd"}}),
        ("put_alias", {"name": "x", "alias": {"model": "../x.gguf"}, "force": True}),
        ("put_alias", {"name": "x", "alias": {"model": "ember", "adapters": [["/etc/passwd", 1.0]]}}),
        ("import_alias", {"name": "x", "text": "FROM /etc/passwd"}),
        ("add_adapter", {"path": "/etc"}),
        ("export_alias", {"name": "/etc/passwd"}),
        ("fits", {"options": {"draft_model": "/etc/passwd"}}),
        ("adopt", msgspec.to_builtins(Settings())),
        (
            "conversations/save",
            {
                "conversation": "d" * 32,
                "messages": [
                    {
                        "id": "q",
                        "role": "user",
                        "attachments": [{"name": "p", "path": "/etc/passwd", "media_type": "image/png"}],
                    }
                ],
            },
        ),
    ],
)
def test_a_key_with_every_right_names_no_files(admin: httpx.Client, route: str, body: Any) -> None:
    response = admin.post(f"/hearth/v1/{route}", json=body)
    assert response.status_code in (400, 403, 404), response.text
    assert "root:" not in response.text
    assert admin.get("/hearth/v1/aliases").json() == []


def test_native_routes_are_for_their_scope_alone(client: httpx.Client) -> None:
    for route in ("aliases", "hardware", "conversations/told", "listing"):
        assert client.get(f"/hearth/v1/{route}").status_code == 403

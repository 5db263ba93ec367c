"""Servers with a web page, over an engine and a home of this folder's own: no other tests' conversations are here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from api import Server
from api.security import passwords
from engine import LocalEngine
from engine.paths import Paths, resolve
from engine.settings import Server as ServerSettings
from engine.settings import Settings, Web
from tests.leaving import when_leaving

PASSWORD = "a warm hearth fire"
HTML = {"accept": "text/html"}
HTMX = {"hx-request": "true", "accept": "text/html"}
SAY_HI = "scripted:text=**hi** there"
ECHO = "scripted:pieces=words"
SLOW = "scripted:tokens=100000,delay_ms=10"
"""Each model is a process: tests take these where they can."""

OpenPage = Callable[..., Server]


DEAR_HASHER = passwords._hasher
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of a second for each sign-in is for those who guess; one test here takes the dear ones."""
    monkeypatch.setattr(passwords, "_hasher", lambda: CHEAP)


@pytest.fixture(scope="session")
def password_hash() -> str:
    return CHEAP.hash(PASSWORD)


@pytest.fixture(scope="session")
def web_paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("web-home"))})


@pytest.fixture(scope="session")
def web_engine(web_paths: Paths) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(), screen_attached=False, paths=web_paths)
    when_leaving(Path(__file__).parent, lambda: asyncio.run(engine.close()))
    yield engine
    asyncio.run(engine.close())


@pytest.fixture(scope="session")
def web_server(web_engine: LocalEngine, web_paths: Paths, password_hash: str) -> Iterator[Server]:
    """With a password; nobody changes it, or is locked out here."""
    made = Server(
        web_engine,
        Settings(server=ServerSettings(drain_seconds=0.2)),
        paths=web_paths,
        port=0,
        scripted=True,
    )
    given(made, password_hash)
    made.start()
    when_leaving(Path(__file__).parent, made.stop)
    yield made
    made.stop()


@pytest.fixture
def open_page(web_engine: LocalEngine, tmp_path: Path, password_hash: str) -> Iterator[OpenPage]:
    """Starts servers with a state folder of their own over the common engine, and stops them."""
    made: list[Server] = []

    def start(*, password: bool = True, models: tuple[str, ...] = (), **changes: Any) -> Server:
        paths = resolve({"HEARTH_HOME": str(tmp_path / f"home-{len(made)}")})
        settings = Settings(
            server=ServerSettings(**{"drain_seconds": 0.2, **changes}), web=Web(models=models)
        )
        server = Server(web_engine, settings, paths=paths, port=0, scripted=True)
        if password:
            given(server, password_hash)
        server.start()
        made.append(server)
        return server

    yield start
    for server in made:
        server.stop(now=True)


@pytest.fixture
def guest(web_server: Server) -> Iterator[httpx.Client]:
    """Somebody who is not signed in."""
    with httpx.Client(base_url=web_server.url, timeout=60) as made:
        yield made


@pytest.fixture(scope="session")
def _session(web_server: Server) -> tuple[str, str]:
    with httpx.Client(base_url=web_server.url, timeout=60) as client:
        sign_in(client)
        return client.cookies["hearth_session"], client.headers["x-hearth-csrf"]


@pytest.fixture
def client(web_server: Server, _session: tuple[str, str]) -> Iterator[httpx.Client]:
    """Somebody who is signed in, with what their pages send along."""
    with httpx.Client(base_url=web_server.url, timeout=60, cookies={"hearth_session": _session[0]}) as made:
        made.headers["x-hearth-csrf"] = _session[1]
        yield made


def given(server: Server, hash: str) -> None:
    """A password that was hashed already."""
    from engine.store.web import WebStore

    WebStore(server.hub.store).set_password(hash)


def sign_in(client: httpx.Client, password: str = PASSWORD, **more: Any) -> httpx.Response:
    """Sign in; where that goes well, `client` sends from now on what the session's pages do."""
    answer = client.post("/chat/login", data={"password": password, **more})
    if answer.status_code == 303:
        page = client.get("/chat/conversations/new", headers=HTML).text
        found = re.search(r'"X-Hearth-CSRF": "([^"]+)"', page)
        assert found is not None
        client.headers["x-hearth-csrf"] = found[1]
    return answer


def begin(client: httpx.Client, text: str = "Hello", model: str = SAY_HI, **more: Any) -> str:
    """Begin a conversation; its id."""
    answer = client.post("/chat/conversations", data={"text": text, "model": model}, **more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


def parts(client: httpx.Client, path: str) -> list[str]:
    """What a stream sends to its end."""
    with client.stream("GET", path, headers=HTMX) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    return [block.replace("data: ", "").strip() for block in text.split("\n\n") if block.startswith("data: ")]


def written(client: httpx.Client, conversation: str) -> str:
    """The conversation's page when its answer is there."""
    parts(client, f"/chat/conversations/{conversation}/events")
    return client.get(f"/chat/conversations/{conversation}", headers=HTML).text


def ids(page: str, kind: str) -> list[str]:
    """The ids of messages that a page can answer anew (`regenerate`), word otherwise (`edit`) or choose."""
    return re.findall(rf"/messages/([^/\"]+)/{kind}\"", page)

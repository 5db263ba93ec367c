"""A hub on this machine: the protocol of the Hugging Face Hub over real sockets, with faults that can be switched on.

    GET  /api/models                                        search
    GET  /api/models/<org>/<name>/revision/<revision>       details
    GET  /api/models/<org>/<name>/tree/<commit>             files, in pages joined by Link headers
    GET, HEAD  /<org>/<name>/resolve/<revision>/<path>      a file: itself, or a redirect to the storage
    GET  /storage/<sha256>                                  large files, under addresses that are signed and expire

Every byte of a body is counted when the system has taken it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CHUNK = 64 * 1024
SMALL = 8 * 1024
"""Files of more bytes lie in the storage, as large files on the Hub do."""


@dataclass
class File:
    content: bytes
    large: bool

    @cached_property
    def etag(self) -> str:
        if self.large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(f"blob {len(self.content)}\0".encode() + self.content).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        oid = hashlib.sha1(path.encode() + self.content[:100]).hexdigest() if self.large else self.etag
        entry: dict[str, Any] = {"type": "file", "path": path, "oid": oid, "size": len(self.content)}
        if self.large:
            entry["lfs"] = {"oid": self.etag, "size": len(self.content), "pointerSize": 134}
            entry["xetHash"] = hashlib.sha256(b"xet" + self.content[:100]).hexdigest()
        return entry


@dataclass
class Repository:
    name: str
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the tree that no file stands behind."""

    def commit_of(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)


@dataclass
class Request:
    """What was asked, for tests that look at it."""

    method: str
    path: str
    headers: dict[str, str]
    peer: int
    """The port that it came from: one for each connection."""


Fault = Callable[["Handler", str, bytes, int], bool]
"""Gets the handler, the etag, the part that was asked for and where it begins; True if it has answered."""


class HubServer:
    """Serves until it is left; `endpoint` is what HF_ENDPOINT would be."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.served: dict[str, int] = {}
        """Bytes sent, by etag."""
        self.faults: list[Fault] = []
        """Asked in order before a file's bytes are sent."""
        self.tokens = {"hf_good"}
        self.page = 1000
        self.ranges = True
        self.rate: float | None = None
        """Bytes a second of one connection."""
        self.busy: list[tuple[int, dict[str, str]]] = []
        """Answers to the next requests of the API, instead of the right ones."""
        self.expires: int | None = None
        """How many requests a signed address serves."""
        self.storage: str | None = None
        """Where large files are said to be, if not here."""
        self._uses: dict[str, int] = {}
        self._large: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        """Of every file, by its tag: an answer to a range names it."""
        self._signed = 0
        self.lock = threading.Lock()
        self._server = _Server((host, 0), Handler)
        self._server.hub = self
        self.port = self._server.server_address[1]
        self.endpoint = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        ref: str = "main",
        gated: bool = False,
        private: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> str:
        """Put `files` there as the newest commit of a repository; the commit."""
        repository = self.repositories.setdefault(name, Repository(name))
        repository.gated, repository.private = gated, private
        repository.about.update(about or {})
        kept = {path: File(content, len(content) > SMALL) for path, content in files.items()}
        self._large.update({file.etag: file.content for file in kept.values() if file.large})
        self._sizes.update({file.etag: len(file.content) for file in kept.values()})
        commit = hashlib.sha1(
            json.dumps([name, len(repository.commits), [(p, f.etag) for p, f in kept.items()]]).encode()
        ).hexdigest()
        repository.commits[commit] = kept
        repository.refs[ref] = commit
        return commit

    @property
    def bytes_served(self) -> int:
        with self.lock:
            return sum(self.served.values())

    def asked(self, part: str) -> list[Request]:
        """Every request so far whose path holds `part`."""
        with self.lock:
            return [request for request in self.requests if part in request.path]

    def sign(self, etag: str) -> str:
        with self.lock:
            self._signed += 1
            return f"/storage/{etag}?signature={self._signed}"

    def used(self, path: str) -> int:
        with self.lock:
            self._uses[path] = self._uses.get(path, 0) + 1
            return self._uses[path]

    def content(self, etag: str) -> bytes | None:
        return self._large.get(etag)

    def size(self, etag: str) -> int:
        """How long the file of that tag is."""
        return self._sizes[etag]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed leave connections behind; that is what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def hub(self) -> HubServer:
        return self.server.hub

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        with self.hub.lock:
            self.hub.requests.append(
                Request(
                    self.command,
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    self.client_address[1],
                )
            )
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if path.startswith("/api/") and self.hub.busy:
            status, headers = self.hub.busy.pop(0)
            self.send(status, b"", headers)
        elif path == "/api/models":
            self._search(parse_qs(parts.query))
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/(.+)", path):
            self._about(match[1], match[2], match[3], parse_qs(parts.query))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[2], match[3])
        elif path.startswith("/storage/"):
            self._storage(path.rpartition("/")[2])
        else:
            self.send(404, b"not found")

    # --- the API

    def _search(self, query: dict[str, list[str]]) -> None:
        wanted = query.get("search", [""])[0].lower()
        author = query.get("author", [""])[0]
        filters = set(query.get("filter", ()))
        task = query.get("pipeline_tag", [""])[0]
        found = []
        for repository in self.hub.repositories.values():
            said = self._details(repository, repository.refs["main"])
            if (
                (wanted in repository.name.lower())
                and repository.name.startswith(author)
                and filters <= set(said["tags"])
                and task in ("", said.get("pipeline_tag"))
                and not repository.private
            ):
                found.append(said)
        order = query.get("sort", ["downloads"])[0]
        found.sort(key=lambda said: said.get(order) or 0, reverse=True)
        self.json(found[: int(query.get("limit", ["100"])[0])])

    def _details(self, repository: Repository, commit: str) -> dict[str, Any]:
        return {
            "_id": "0" * 24,
            "id": repository.name,
            "modelId": repository.name,
            "sha": commit,
            "private": repository.private,
            "gated": "manual" if repository.gated else False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2026-01-02T03:04:05.000Z",
            "siblings": [{"rfilename": path} for path in repository.commits[commit]],
            **repository.about,
        }

    def _about(self, name: str, what: str, revision: str, query: dict[str, list[str]]) -> None:
        repository = self._allowed(name, gate=False)
        if repository is None:
            return
        commit = repository.commit_of(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif what == "revision":
            self.json(self._details(repository, commit))
        else:
            entries = [file.entry(path) for path, file in repository.commits[commit].items()]
            entries += repository.entries
            folders = {path.rpartition("/")[0] for path in repository.commits[commit]} - {""}
            entries += [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
            first = int(query.get("cursor", ["0"])[0])
            page = entries[first : first + self.hub.page]
            headers = {}
            if first + self.hub.page < len(entries):
                here = f"{self.hub.endpoint}/api/models/{name}/tree/{revision}"
                headers["Link"] = f'<{here}?recursive=true&cursor={first + self.hub.page}>; rel="next"'
            self.json(page, headers)

    def _allowed(self, name: str, *, gate: bool) -> Repository | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repository = self.hub.repositories.get(name)
        if token and token not in self.hub.tokens:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repository is None or (repository.private and not token):
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif gate and repository.gated and not token:
            self.refuse(401, "GatedRepo", f"Access to model {name} is restricted. You must be authenticated.")
        elif gate and repository.gated and token != "hf_approved":
            self.refuse(
                403, "GatedRepo", f"Access to model {name} is restricted and you are not in the list."
            )
        else:
            return repository
        return None

    # --- files

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._allowed(name, gate=True)
        if repository is None:
            return
        commit = repository.commit_of(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        file = repository.commits[commit].get(path)
        if file is None:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": commit}
        if file.large:
            headers["X-Linked-Etag"] = f'"{file.etag}"'
            headers["X-Linked-Size"] = str(len(file.content))
            headers["Location"] = (self.hub.storage or self.hub.endpoint) + self.hub.sign(file.etag)
            headers["ETag"] = f'"{file.entry(path)["oid"]}"'
            self.send(302, b"", headers)
        else:
            self._content(file.content, file.etag, headers)

    def _storage(self, etag: str) -> None:
        content = self.hub.content(etag)
        if content is None:
            self.send(404, b"")
        elif self.hub.expires is not None and self.hub.used(self.path) > self.hub.expires:
            self.send(403, b"<Error>AccessDenied: Request has expired</Error>")
        else:
            self._content(content, etag, {})

    def _content(self, content: bytes, etag: str, headers: dict[str, str]) -> None:
        begin, end, status = 0, len(content), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and self.hub.ranges and content:
            begin = int(asked[1])
            end = min(len(content), int(asked[2]) + 1 if asked[2] else len(content))
            if begin >= end:
                self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
        part = content[begin:end]
        if self.command == "GET" and any(fault(self, etag, part, begin) for fault in list(self.hub.faults)):
            return
        self.stream(status, part, etag, {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", **headers})

    def stream(
        self, status: int, part: bytes, etag: str, headers: dict[str, str], *, length: int | None = None
    ) -> None:
        """Send `part` in chunks, counted; `length` is what is promised, if that is more."""
        self.send_response(status)
        for name, value in {
            **headers,
            "Content-Length": str(len(part) if length is None else length),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        for at in range(0, len(part), CHUNK):
            chunk = part[at : at + CHUNK]
            self.wfile.write(chunk)
            with self.hub.lock:
                self.hub.served[etag] = self.hub.served.get(etag, 0) + len(chunk)
            if self.hub.rate:
                time.sleep(len(chunk) / self.hub.rate)
        if length is not None and length > len(part):
            self.close_connection = True

    def json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": message})

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


# --- faults


class Once:
    """A fault for the first `times` requests of which `begins` is true of the place that they begin at."""

    def __init__(
        self, act: Fault, *, times: int = 1, begins: Callable[[int], bool] = lambda at: True
    ) -> None:
        self._act, self._left, self._begins = act, times, begins
        self._lock = threading.Lock()

    def __call__(self, handler: Handler, etag: str, part: bytes, begin: int) -> bool:
        with self._lock:
            if self._left <= 0 or not self._begins(begin):
                return False
            self._left -= 1
        return self._act(handler, etag, part, begin)


def _kind(handler: Handler, part: bytes, begin: int, etag: str) -> tuple[int, dict[str, str]]:
    if not handler.headers.get("Range") or not handler.hub.ranges:
        return 200, {}
    total = handler.hub.size(etag)
    return 206, {"Content-Range": f"bytes {begin}-{begin + len(part) - 1}/{total}"}


def dropped(handler: Handler, etag: str, part: bytes, begin: int) -> bool:
    """Break off in the middle of what was asked for."""
    status, headers = _kind(handler, part, begin, etag)
    handler.stream(status, part[: len(part) // 2], etag, headers, length=len(part))
    return True


def flipped(handler: Handler, etag: str, part: bytes, begin: int) -> bool:
    """Send one wrong byte, of the right length."""
    status, headers = _kind(handler, part, begin, etag)
    wrong = bytearray(part)
    wrong[len(wrong) // 2] ^= 1
    handler.stream(status, bytes(wrong), etag, headers)
    return True


def stalled(handler: Handler, etag: str, part: bytes, begin: int) -> bool:
    """Promise everything, send a little and fall silent until the client leaves."""
    status, headers = _kind(handler, part, begin, etag)
    handler.stream(status, part[:1000], etag, headers, length=len(part))
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.settimeout(20)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)
    return True


def answering(status: int, **headers: str) -> Fault:
    """Answer with `status` instead."""

    def act(handler: Handler, etag: str, part: bytes, begin: int) -> bool:
        handler.send(status, b"", {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return act

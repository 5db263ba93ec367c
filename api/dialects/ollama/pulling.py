"""`POST /api/pull`: models fetched from the hub.

A client that leaves gives its pull up, as with Ollama; what is here of it stays, and the next pull goes on from there.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.codec import NDJSON
from api.answering.reply import JSON, Reply, as_error
from api.errors import Cancelled, encoded
from api.reading.keywords import OLLAMA
from engine.errors import ErrorInfo, InvalidRequest
from engine.types import PullRequest, PullState

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from engine import Pulling

_json = msgspec.json.Encoder()
_SUCCESS = {"status": "success"}


@post("/api/pull", status_code=200)
async def pull(request: Request[Any, Any, Any]) -> ASGIApp:
    """A model of the hub, as `org/name`, `org/name:Q4_K_M` or `hf.co/org/name:Q4_K_M`; lines that say how far it is."""
    call = await Call.of(request)
    fields = call.fields
    fields.known(OLLAMA)
    fields.refuse("insecure", "What is fetched is always checked.")
    name = fields.take("model", str, "name")
    if not name or not name.strip():
        raise InvalidRequest("model is required", param="model")
    if len(name) > 400:
        raise InvalidRequest("The model's name is too long.", param="model")
    streams = fields.take("stream", bool) is not False
    # A tag that Ollama's clients add by themselves names no quantisation.
    wanted = name.strip().removesuffix(":latest")
    return PullAnswer(call.hub.engine.pull(PullRequest(model=wanted)), streams=streams, model=name)


class PullAnswer:
    """Sends the states of a pull as Ollama's lines, or one line at its end."""

    def __init__(self, pulling: Pulling, *, streams: bool, model: str) -> None:
        self._pulling, self._streams, self._model = pulling, streams, model
        self._send: Send | None = None
        self._said: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        watcher = asyncio.create_task(self._watch(receive))
        last: PullState | None = None
        try:
            async for state in self._pulling:
                last = state
                if state.ended:
                    break
                if self._streams:
                    await self._tell(state)
            error = _error_of(last)
            if error is not None and not self._said:
                await as_error(error, "ollama", model=self._model)(scope, receive, send)
            elif not self._streams:
                await Reply(_json.encode(_SUCCESS), media_type=JSON)(scope, receive, send)
            else:
                await self._end(last, error)
        except OSError:
            pass
        finally:
            watcher.cancel()
            if last is None or not last.ended:
                self._pulling.cancel()

    async def _tell(self, state: PullState) -> None:
        if state.stage in ("queued", "asking", "locked"):
            # The status line waits: a model that is not there is to be a 404.
            return
        if not self._said:
            await self._put({"status": "pulling manifest"})
        if state.stage == "verifying":
            if self._said[-1] != "verifying":
                await self._put({"status": "verifying sha256 digest"})
        else:
            await self._put(_progress(state))
        self._said.append(state.stage)

    async def _end(self, last: PullState | None, error: ErrorInfo | None) -> None:
        if error is not None:
            await self._write(encoded(error, "ollama", model=self._model) + b"\n", more=False)
            return
        if not self._said:
            await self._put({"status": "pulling manifest"})
        if last is not None and last.size:
            await self._put(_progress(last))
        for words in ("verifying sha256 digest", "writing manifest", "removing any unused layers"):
            await self._put({"status": words})
        await self._write(_json.encode(_SUCCESS) + b"\n", more=False)

    async def _put(self, line: dict[str, Any]) -> None:
        await self._write(_json.encode(line) + b"\n")

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        assert self._send is not None
        if not self._said:
            start: Any = {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", NDJSON)],
            }
            await self._send(start)
            self._said.append("")
        message: Any = {"type": "http.response.body", "body": data, "more_body": more}
        await self._send(message)

    async def _watch(self, receive: Receive) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                self._pulling.cancel()
                return


def _progress(state: PullState) -> dict[str, Any]:
    """Clients draw a bar for each digest; all files of a model are one here, known by its name and commit."""
    digest = hashlib.sha256(f"{state.model}@{state.commit}".encode()).hexdigest()
    line = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": state.size}
    return {**line, "completed": state.done} if state.done else line


def _error_of(last: PullState | None) -> ErrorInfo | None:
    if last is None or last.stage == "cancelled":
        return Cancelled("The pull was cancelled.").info
    return last.error if last.stage == "failed" else None


ROUTES = [pull]

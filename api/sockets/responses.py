"""`/v1/responses` as a WebSocket: `{"type": "response.create", …}` in, the events of its stream out, as JSON frames.

A message is answered as the POST of the same body is, one after the other. What is not to be stored can still be gone
on from by the next message: the last response is known as long as its socket.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import msgspec

from api import errors
from api.sockets.socket import Gone, Socket
from engine.errors import HearthError, InvalidRequest

PATH = "/v1/responses"
_PREFIX = b"data: "


class ResponsesSocket(Socket):
    """See above. Whose messages stay within the bounds of bodies, and are counted as requests of the caller."""

    async def run(self) -> None:
        last: dict[str, Any] = {}
        while True:
            try:
                message = await self.receive()
                kind = message.pop("type", None)
                if kind != "response.create":
                    raise InvalidRequest(
                        "A message must be of type response.create.",
                        "Nothing else is read here.",
                        param="type",
                    )
                with self.taken():
                    await self._create(message, last)
            except HearthError as error:
                await self._told(error)

    async def _told(self, error: HearthError) -> None:
        body = errors.body_of(error.info, "openai")
        await self.send({"type": "error", "status": error.info.http_status, **body})

    async def _create(self, body: dict[str, Any], last: dict[str, Any]) -> None:
        """Have the route answer, and send on what it writes."""
        data = msgspec.json.encode({**body, "stream": True})
        unread = [{"type": "http.request", "body": data, "more_body": False}]
        scope: dict[str, Any] = {
            **{name: self._socket.scope[name] for name in ("client", "server", "hearth.principal")},
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "hearth.id": secrets.token_hex(12),
            "hearth.dialect": "openai",
            "hearth.last_response": last,
        }
        status, refused, started = 0, b"", time.monotonic()

        async def receive() -> Any:
            if unread:
                return unread.pop()
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            nonlocal status, refused
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status != 200:
                refused += message.get("body", b"")
            else:
                for event in _events(message.get("body", b"")):
                    await self.send_raw(event)

        try:
            await self._socket.app(scope, receive, send)
        except OSError:
            raise Gone from None
        finally:
            self.hub.log(scope, status, time.monotonic() - started)
        if status != 200:
            await self.send({"type": "error", "status": status, **msgspec.json.decode(refused)})


def _events(written: bytes) -> list[bytes]:
    """The data of each event in what was written at once; neither comments nor the mark of the end."""
    found = []
    for line in written.split(b"\n"):
        if line.startswith(_PREFIX) and line != b"data: [DONE]":
            found.append(line.removeprefix(_PREFIX))
    return found

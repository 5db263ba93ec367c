"""HTTP to one engine: questions and streams of server-sent events. Belongs on one event loop.

Connections are kept alive by the operating system's own probes, so that a machine that vanished is noticed while
a long load is waited for. Proxies of the environment are not asked: what is meant is that very machine.

A server that was started again has a new key: who is refused reads it anew, if it is one that can be read, and asks
once more. A refusal of the new one stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from engine.errors import HearthError
from engine.remote.address import Address
from engine.remote.refusals import foreign, lost, refusal

if TYPE_CHECKING:
    import httpx2

_T = TypeVar("_T")
CONNECT_S: Final = 6.0
ANSWER_S: Final = 30.0
"""Longest wait for an answer that takes no work."""
SILENCE_S: Final = 20.0
"""A stream says that it is there every four seconds; one that does not is lost."""
MOST_REFUSAL: Final = 256 * 1024
REFUSED: Final = (401, 403)
_SAME_CLOCK_NS: Final = 5 * 10**9
_encoder = msgspec.json.Encoder()


class Link:
    """Made anew for each loop. Every call raises HearthError."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.clock_ns = 0
        """What is to be added to the other machine's monotonic clock; 0 where it is this one's."""
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def ask(
        self, method: str, path: str, kind: type[_T] | Any, body: object = None, *, patient: bool = False
    ) -> Any:
        """The answer as `kind`. Who is `patient` waits as long as the work takes."""
        answer = await self._send(method, path, body, patient=patient)
        if (clock := answer.headers.get("x-hearth-clock", "")).isdecimal():
            apart = time.monotonic_ns() - int(clock)
            self.clock_ns = apart if abs(apart) > _SAME_CLOCK_NS else 0
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise foreign(self.address, f"{error}.") from None

    async def fetch(self, path: str, body: object) -> bytes:
        """An answer that is a file."""
        return (await self._send("POST", path, body, patient=True)).content

    async def _send(self, method: str, path: str, body: object, *, patient: bool) -> httpx2.Response:
        client, key = self._opened(), self.address.key
        import httpx2

        async def sent() -> httpx2.Response:
            return await client.request(
                method,
                f"/hearth/v1/{path}",
                content=None if body is None else _encoder.encode(body),
                timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S, read=None if patient else ANSWER_S),
            )

        try:
            answer = await sent()
            if answer.status_code in REFUSED and await self._renewed(key):
                answer = await sent()
        except httpx2.HTTPError as error:
            raise lost(self.address, words(error)) from None
        if answer.status_code != 200:
            raise refusal(self.address, answer.status_code, answer.content)
        return answer

    async def events(self, path: str, body: object) -> AsyncIterator[bytes]:
        """The data of each event of a stream, until it ends. Leaving it closes the connection."""
        client, key = self._opened(), self.address.key
        import httpx2

        limit = httpx2.Timeout(ANSWER_S, connect=CONNECT_S, read=SILENCE_S)

        def opened() -> AbstractAsyncContextManager[httpx2.Response]:
            return client.stream("POST", f"/hearth/v1/{path}", content=_encoder.encode(body), timeout=limit)

        try:
            async with contextlib.AsyncExitStack() as answers:
                answer = await answers.enter_async_context(opened())
                if answer.status_code in REFUSED and await self._renewed(key):
                    await answers.aclose()
                    answer = await answers.enter_async_context(opened())
                if answer.status_code != 200:
                    raise refusal(self.address, answer.status_code, await _beginning(answer))
                rest = b""
                async for piece in answer.aiter_bytes():
                    *blocks, rest = (rest + piece).split(b"\n\n")
                    for block in blocks:
                        if data := data_of(block):
                            yield data
        except httpx2.HTTPError as error:
            raise lost(self.address, words(error)) from None

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            logging.getLogger("httpx2").setLevel(logging.WARNING)
            headers = {"user-agent": f"hearth/{version('hearth')}", "content-type": "application/json"}
            if self.address.key:
                headers["authorization"] = _bearer(self.address.key)
            try:
                self._client = httpx2.AsyncClient(
                    base_url=self.address.url,
                    headers=headers,
                    transport=httpx2.AsyncHTTPTransport(
                        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=16),
                        socket_options=_probed(),
                        trust_env=False,
                    ),
                )
            except (ValueError, OSError) as error:
                raise lost(self.address, str(error)) from None
        return self._client

    async def _renewed(self, refused: str) -> bool:
        """Whether there is another key than the one that was `refused`; it is the one of what is asked next."""
        renew = self.address.renew
        if renew is None or self._client is None:
            return False
        if self.address.key == refused:
            key = await asyncio.to_thread(renew)
            if not key or key == refused:
                return False
            self.address = replace(self.address, key=key)
            self._client.headers["authorization"] = _bearer(key)
        return True


def _bearer(key: str) -> str:
    return f"Bearer {key}"


def data_of(block: bytes) -> bytes:
    """The data of one server-sent event; empty for a comment."""
    return b"\n".join(line[6:] for line in block.split(b"\n") if line.startswith(b"data: "))


def words(error: BaseException) -> str:
    """What went wrong, for people: httpx2 says little of a timeout or a closed connection."""
    import httpx2

    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return "It does not answer"
    if isinstance(error, httpx2.TimeoutException):
        return "It fell silent"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return "The connection broke"
    if isinstance(error, httpx2.ConnectError):
        return f"Nothing listens there ({error})" if str(error) else "Nothing listens there"
    return str(error) or type(error).__name__


async def _beginning(answer: httpx2.Response) -> bytes:
    found = b""
    with contextlib.suppress(HearthError):
        async for piece in answer.aiter_bytes():
            found += piece
            if len(found) > MOST_REFUSAL:
                break
    return found


def _probed() -> list[tuple[int, int, int]]:
    """Options of a socket whose other end is asked whether it is there, after ten seconds of silence."""
    found = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    if idle is not None:
        found.append((socket.IPPROTO_TCP, idle, 10))
    if hasattr(socket, "TCP_KEEPINTVL"):
        found += [(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]
    return found

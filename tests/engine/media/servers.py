"""A small HTTP server on loopback that counts who comes, and says what a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from engine.media.fetch import Fetcher
from engine.settings import Media

Answer = Callable[["Served", str, asyncio.StreamWriter], Awaitable[None]]


class Served:
    """A running server: its port, how many connections came, and the heads of the requests."""

    def __init__(self) -> None:
        self.port = 0
        self.hits = 0
        self.heads: list[str] = []

    def url(self, path: str = "/", host: str = "pictures.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def says(body: bytes, status: str = "200 OK", **headers: str) -> Answer:
    """Always this answer; `_` in a header's name stands for a hyphen."""

    async def answer(served: Served, path: str, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}"]
        given = {"Content-Length": str(len(body)), "Connection": "close"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        lines += [f"{name}: {value}" for name, value in given.items() if value]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


@asynccontextmanager
async def serving(
    answer: Answer, *, host: str | list[str] = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Served]:
    """The server, while the block runs."""
    served = Served()
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.hits += 1
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            served.heads.append(head)
            await answer(served, head.split()[1], writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, host, 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class Names:
    """A resolver of a test's own: each name gives its answers one after the other, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("not known")
        left = self.answers[host]
        return left.pop(0) if len(left) > 1 else left[0]


def loopback_fetcher(served: Served, names: Names | None = None, **media: object) -> Fetcher:
    """One that may go to loopback, by the name `pictures.test`, and nowhere else."""
    said: dict[str, object] = {"allow_urls": True, "url_ports": (served.port,)}
    return Fetcher(
        Media(**said | media),  # type: ignore[arg-type]
        resolve=names or Names(pictures_test=[["127.0.0.1"]]),
        allowed=lambda address: address == "127.0.0.1",
    )

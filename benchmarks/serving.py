"""What the HTTP server costs: per token, per open stream, and against the engine's own stream.

    python -m benchmarks.serving [--quick] [--dir FOLDER]

Clients are a process of their own that reads raw sockets, so that their work is not counted as the server's. The
baselines, in the same run: the same generations read from the engine itself; a bare Litestar route that returns the
very bytes of a list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from litestar import Litestar, get
from litestar.response import Response

from api import Server
from benchmarks.engines import engine_in, quarter_billion
from benchmarks.figure import state
from engine.local import LocalEngine
from engine.settings import Settings
from engine.types import Delta, GenerationRequest, LoadOptions, ModelEntry, NamedAlias

COST_US = 60.0
RATIO = 0.97
LISTS = 1.5
STREAM_KB = 200.0
CANCEL_MS = 250.0
MODELS = 200
STREAMS = 32
OPEN = 500
_BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    "ollama": ("/api/chat", {"messages": [{"role": "user", "content": "x"}]}),
    "anthropic": ("/v1/messages", {"messages": [{"role": "user", "content": "x"}]}),
}
CLIENTS = """
import json, selectors, socket, sys, time
port, count, path, body, hold = json.loads(sys.stdin.readline())
data = json.dumps(body).encode()
head = f"POST {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Length: {len(data)}\\r\\n\\r\\n"
ready = selectors.DefaultSelector()
opened = []
for _ in range(count):
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(head.encode() + data)
    one.setblocking(False)
    ready.register(one, selectors.EVENT_READ)
    opened.append(one)
began, first, size, left = time.monotonic(), 0.0, 0, set(opened)
print("sent", flush=True)
failed = 0
seen = set()
while left and time.monotonic() - began < hold:
    for key, _ in ready.select(0.2):
        piece = key.fileobj.recv(1 << 18)
        if piece and key.fileobj not in seen:
            seen.add(key.fileobj)
            first = first or time.monotonic()
            failed += not piece.startswith(b"HTTP/1.1 200")
        size += len(piece)
        if not piece:
            ready.unregister(key.fileobj)
            left.discard(key.fileobj)
print(json.dumps([time.monotonic() - (first or began), size, failed, len(seen)]), flush=True)
"""
PAIRS = """
import http.client, json, statistics, sys, time
rounds, *places = json.loads(sys.argv[1])
times, open_ = ([], []), []
for port in places[::2]:
    open_.append(http.client.HTTPConnection("127.0.0.1", port))
for _ in range(rounds):
    for index, path in enumerate(places[1::2]):
        began = time.perf_counter()
        open_[index].request("GET", path)
        answer = open_[index].getresponse()
        answer.read()
        assert answer.status == 200
        times[index].append(time.perf_counter() - began)
print(statistics.median(times[0]) / statistics.median(times[1]))
"""


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--dir", type=Path, help="where the generated model is kept (default: the cache)")
    options = parser.parse_args(argv)
    return int(not asyncio.run(measure(quarter_billion(options.dir), 2 if options.quick else 5)))


async def measure(model: Path, rounds: int) -> bool:
    """Every figure; whether all hold."""
    held = []
    for dialect in _BODIES:
        cost = min([await cost_per_token(dialect) for _ in range(rounds)])
        held.append(
            state(
                f"server's cost in {dialect}'s dialect at {STREAMS} streams",
                f"{cost:.1f} µs of processor time a token",
                f"< {COST_US:g}",
                holds=cost < COST_US,
            )
        )
    for streams in (1, 16, 32):
        found = await throughput(model, streams, rounds)
        held.append(
            state(
                f"{streams} streams over HTTP against the engine's own",
                f"{found:.3f}",
                f">= {RATIO:g}",
                holds=found >= RATIO,
            )
        )
    for path in ("/v1/models", "/api/tags"):
        times = lists(path, rounds * 100)
        held.append(
            state(
                f"{path} with {MODELS} models against a bare route",
                f"{times:.2f}",
                f"< {LISTS:g}",
                holds=times < LISTS,
            )
        )
    times = await cancels(model, rounds * 5)
    held.append(
        state(
            "a closed socket in decode, until its slot is free",
            f"{statistics.median(times):.1f} ms, at most {max(times):.1f}",
            f"<= {CANCEL_MS:g} ms",
            holds=statistics.median(times) <= CANCEL_MS,
        )
    )
    size, failed = await memory()
    held.append(
        state(
            f"memory of each of {OPEN} open streams",
            f"{size:.0f} kB",
            f"< {STREAM_KB:g} kB",
            holds=size < STREAM_KB,
        )
    )
    held.append(state(f"failures among {OPEN} streams", str(failed), "0", holds=not failed))
    return all(held)


async def cost_per_token(dialect: str, tokens: int = 200) -> float:
    """Microseconds of the server thread's processor time a token, at 40 steps a second."""
    async with engine_in(slots=STREAMS, prefix_cache=False) as engine:
        model = f"scripted:tokens={tokens},delay_ms=25,slots={STREAMS}"
        await engine.load(model)
        server = served(engine)
        path, body = _BODIES[dialect]
        clients = ask(server, STREAMS, path, {**body, "model": model, "stream": True, "max_tokens": tokens})
        await until(lambda: sum(one.state == "decode" for one in engine.running()) == STREAMS)
        before, counted = seconds("server"), done(engine)
        await asyncio.sleep(tokens * 0.025 * 0.6)
        spent, counted = seconds("server") - before, done(engine) - counted
        await asyncio.to_thread(result, clients)
        await asyncio.to_thread(server.stop)
        return spent / counted * 1e6


async def throughput(model: Path, streams: int, rounds: int) -> float:
    """Tokens a second over HTTP, over those that the engine's own streams give; the median of interleaved pairs."""
    tokens = 96 if streams == 1 else 48
    load = LoadOptions(context=256, slots=32)
    ratios = []
    async with engine_in(slots=32, prefix_cache=False) as engine:
        await engine.load(str(model), load, keep_alive=-1)
        server = served(engine)
        name = (await engine.models())[0].id
        server.hub.model = lambda asked: str(model)  # type: ignore[method-assign]  # it lies in no listed folder
        body = {
            "model": name, "prompt": [33 + each for each in range(16)], "max_tokens": tokens, "ignore_eos": True,
            "stream": True, "temperature": 0, "options": {"num_ctx": 256},
        }  # fmt: skip
        for _ in range(rounds + 1):
            own = await by_engine(engine, model, streams, tokens)
            clients = ask(server, streams, "/v1/completions", body)
            took, _, failed, _ = await asyncio.to_thread(result, clients)
            assert not failed
            ratios.append((streams * tokens / took) / own)
        await asyncio.to_thread(server.stop)
    return statistics.median(ratios[1:])


async def by_engine(engine: LocalEngine, model: Path, streams: int, tokens: int) -> float:
    """Tokens a second from the first one on, read from the engine."""
    request = GenerationRequest(
        model=str(model),
        tokens=tuple(33 + each for each in range(16)),
        sampling={"ignore_eos": True, "temperature": 0},
        max_tokens=tokens,
        load=LoadOptions(context=256),
    )
    first = 0.0

    async def read() -> None:
        nonlocal first
        async for event in engine.generate(request):
            if isinstance(event, Delta) and not first:
                first = time.monotonic()

    await asyncio.gather(*(read() for _ in range(streams)))
    return streams * tokens / (time.monotonic() - first)


def lists(path: str, rounds: int) -> float:
    """The median time of a list over that of a bare route with the same bytes, interleaved."""
    entries = [
        ModelEntry(
            id=f"model-{each}", path="/", format="gguf", source="folder", size=each, architecture="llama",
            backends=("llama",),
        )
        for each in range(MODELS)
    ]  # fmt: skip

    class Nothing:
        async def work(self) -> None:
            """There are no jobs."""

    class Listed:
        jobs = Nothing()

        async def models(self) -> list[ModelEntry]:
            return entries

        async def aliases(self) -> list[NamedAlias]:
            return []

    server = Server(Listed(), Settings(), port=0)  # type: ignore[arg-type]
    server.start()
    body = httpx.get(server.url + path).content

    @get("/bare")
    async def bare() -> Response[bytes]:
        return Response(body, media_type="application/json")

    app = Litestar([bare], openapi_config=None, logging_config=None)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none")
    other = uvicorn.Server(config)
    thread = threading.Thread(target=other.run, daemon=True)
    thread.start()
    while not other.started:
        time.sleep(0.01)
    port = other.servers[0].sockets[0].getsockname()[1]
    arguments = json.dumps([rounds, server.port, path, port, "/bare"])
    done = subprocess.run(
        [sys.executable, "-c", PAIRS, arguments], capture_output=True, text=True, check=True
    )
    other.should_exit = True
    thread.join()
    server.stop()
    return float(done.stdout)


async def cancels(model: Path, rounds: int) -> list[float]:
    """Milliseconds from closing a client's socket in mid-answer until the engine has let go of the request."""
    found = []
    async with engine_in(slots=4, prefix_cache=False) as engine:
        await engine.load(str(model), LoadOptions(context=2048), keep_alive=-1)
        server = served(engine)
        server.hub.model = lambda asked: str(model)  # type: ignore[method-assign]
        body = json.dumps(
            {"model": "x", "prompt": [33, 34], "max_tokens": 2000, "ignore_eos": True, "stream": True}
        )
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        for _ in range(rounds):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write((head + body).encode())
            await reader.readuntil(b"data: ")
            began = time.perf_counter()
            writer.close()
            while engine.running():  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            found.append((time.perf_counter() - began) * 1e3)
        await asyncio.to_thread(server.stop)
    return found


async def memory() -> tuple[float, int]:
    """Kilobytes by which this process grows with each open stream, and how many streams failed."""
    async with engine_in(slots=256, queue_api=1000, prefix_cache=False) as engine:
        model = "scripted:tokens=400,delay_ms=50,slots=256"
        await engine.load(model)
        server = served(engine)
        path, body = _BODIES["openai"]
        full = {**body, "model": model, "stream": True}
        await asyncio.to_thread(result, ask(server, 4, path, {**full, "max_tokens": 2}))
        before = psutil.Process().memory_info().rss
        clients = ask(server, OPEN, path, full, hold=8)
        await until(lambda: len(server.hub.live) == OPEN)
        await asyncio.sleep(4)
        grown = psutil.Process().memory_info().rss - before
        _, _, failed, _ = await asyncio.to_thread(result, clients)
        await asyncio.to_thread(lambda: server.stop(now=True))
        return grown / OPEN / 1024, failed


def served(engine: LocalEngine) -> Server:
    """A server on a thread of its own, as beside a screen."""
    server = Server(engine, Settings(), port=0, scripted=True)
    server.start()
    return server


def ask(
    server: Server, count: int, path: str, body: dict[str, Any], hold: float = 600
) -> subprocess.Popen[str]:
    """`count` clients that ask the same, in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps([server.port, count, path, body, hold]) + "\n")
    process.stdin.flush()
    return process


def result(process: subprocess.Popen[str]) -> tuple[float, int, int, int]:
    """Seconds from the first byte to the end, bytes, failures, answers."""
    with process:
        out, _ = process.communicate()
    took, size, failed, seen = json.loads(out.splitlines()[-1])
    return took, size, failed, seen


async def until(condition: Any) -> None:
    """Wait for `condition`."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def done(engine: LocalEngine) -> int:
    """Tokens that the running requests have made."""
    return sum(one.completion_tokens for one in engine.running())


def seconds(name: str) -> float:
    """Processor time of the thread of that name."""
    thread = next(each for each in threading.enumerate() if each.name == name)
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Images on their way through the engine's face: a stream at once, failures as its events, nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from engine.local import LocalEngine
from engine.paths import resolve
from engine.settings import Media, Settings
from engine.types import Deadlines, Done, Failed, GenerationRequest, ImagePart, Message, TextPart
from tests.engine.media.pictures import encoded, quarters
from tests.engine.media.servers import loopback_fetcher, serving


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[LocalEngine]:
    made = LocalEngine(
        Settings(media=Media(max_images=2)), paths=resolve({"HEARTH_HOME": str(tmp_path / "home")})
    )
    yield made
    await made.close()


def see(*parts: ImagePart, **fields: object) -> GenerationRequest:
    message = Message(role="user", content=(TextPart("What is this?"), *parts))
    return GenerationRequest(model="scripted:", messages=(message,), **fields)  # type: ignore[arg-type]


async def test_a_missing_file_is_the_streams_failure_and_no_model_is_loaded(engine: LocalEngine) -> None:
    stream = engine.generate(see(ImagePart(path="/nowhere/cat.png")))
    events = [event async for event in stream]
    assert len(events) == 1
    failed = events[0]
    assert isinstance(failed, Failed)
    assert failed.error.what.startswith("/nowhere/cat.png: ") and "No such file" in failed.error.why
    assert failed.error.param == "messages[0].content[1]" and failed.error.http_status == 400
    assert engine.loaded() == []


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([ImagePart(data=b"no image")], "no kind"),
        ([ImagePart(url="http://127.0.0.1/a.png")], "media.allow_urls"),
        ([ImagePart(data=encoded(quarters()))] * 3, "3 images"),
    ],
)
async def test_what_cannot_be_used_fails_by_name(
    engine: LocalEngine, parts: list[ImagePart], words: str
) -> None:
    end = await engine.generate(see(*parts)).wait()
    assert isinstance(end, Failed) and words in end.error.sentence()
    with pytest.raises(InvalidRequest, match=words):
        await engine.count(see(*parts))
    prompt = GenerationRequest(model="scripted:", prompt="What is it?", images=tuple(parts))
    end = await engine.generate(prompt).wait()
    assert isinstance(end, Failed) and words in end.error.sentence()


async def test_a_side_out_of_bounds_is_refused(engine: LocalEngine) -> None:
    for side in (63, 8193):
        end = await engine.generate(see(image_max_side=side)).wait()
        assert isinstance(end, Failed) and end.error.param == "image_max_side"
    assert isinstance(await engine.generate(see(image_max_side=64)).wait(), Done)


class Silent:
    """A server that never comes to an end."""

    def __init__(self) -> None:
        self.came, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, served: object, path: str, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        try:
            while True:
                await asyncio.sleep(0.02)
                writer.write(b"H")
                await writer.drain()
        finally:
            self.left.set()


async def test_a_fetch_is_cancelled_with_its_request(engine: LocalEngine) -> None:
    silent = Silent()
    async with serving(silent) as served:
        engine._sources._fetcher = loopback_fetcher(served, url_seconds=300)
        stream = engine.generate(see(ImagePart(url=served.url())))
        await silent.came.wait()
        # Others are served meanwhile.
        assert isinstance(await engine.generate(see()).wait(), Done)
        stream.cancel()
        end = await stream.wait()
        assert isinstance(end, Done) and end.reason == "cancelled"
        await silent.left.wait()


async def test_the_deadline_of_a_request_counts_while_it_fetches(engine: LocalEngine) -> None:
    silent = Silent()
    async with serving(silent) as served:
        engine._sources._fetcher = loopback_fetcher(served, url_seconds=300)
        end = await engine.generate(see(ImagePart(url=served.url()), deadlines=Deadlines(total=0.3))).wait()
        assert isinstance(end, Failed) and end.error.param == "deadlines.total"
        if silent.came.is_set():
            await silent.left.wait()


def test_the_engine_brings_no_decoder_and_no_client_along() -> None:
    rooms = "engine.local, engine.media.sources, engine.media.encoded, engine.media.picture"
    report = f"import sys, {rooms}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert modules.isdisjoint({"PIL", "numpy", "httpx2", "httpx"})

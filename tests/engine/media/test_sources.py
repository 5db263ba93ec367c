"""Every image of a request as bytes: files, addresses, limits, and errors that name file and place."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from engine.media.sources import Sources
from engine.settings import Media
from engine.types import GenerationRequest, ImagePart, Message, TextPart
from tests.engine.media.pictures import bombs, encoded, noise, quarters
from tests.engine.media.servers import loopback_fetcher, says, serving

PNG, JPEG = encoded(quarters()), encoded(quarters(), "JPEG")


def asked(*parts: ImagePart | TextPart) -> GenerationRequest:
    """A conversation whose second message holds these."""
    first = Message(role="system", content="Look closely.")
    return GenerationRequest(model="m", messages=(first, Message(role="user", content=parts)))


async def refused(media: Media, request: GenerationRequest) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await Sources(media).resolved(request)
    return caught.value


async def test_files_addresses_and_bytes_become_bytes_in_their_places(tmp_path: Path) -> None:
    file = tmp_path / "a picture.txt"
    file.write_bytes(JPEG)
    async with serving(says(PNG, Content_Type="text/html")) as served:
        sources = Sources(Media(), loopback_fetcher(served))
        request = asked(
            TextPart("One: "),
            ImagePart(path=str(file), detail="low"),
            TextPart(" two: "),
            ImagePart(url=served.url()),
            ImagePart(data=PNG, media_type="image/webp", detail="high"),
        )
        found = await sources.resolved(request)
    assert found.messages is not None and request.messages is not None
    assert found.messages[0] is request.messages[0]
    assert found.messages[1].content == (
        TextPart("One: "),
        ImagePart(data=JPEG, media_type="image/jpeg", detail="low"),
        TextPart(" two: "),
        ImagePart(data=PNG, media_type="image/png"),
        ImagePart(data=PNG, media_type="image/png", detail="high"),
    )


async def test_images_of_a_prompt() -> None:
    request = GenerationRequest(
        model="m", prompt="What is it?", images=(ImagePart(data=PNG), ImagePart(data=JPEG))
    )
    found = await Sources(Media()).resolved(request)
    assert [part.media_type for part in found.images] == ["image/png", "image/jpeg"]
    assert found.prompt == "What is it?"


async def test_a_request_without_images_is_left_as_it_is() -> None:
    for request in (asked(TextPart("Hello")), GenerationRequest(model="m", prompt="Hello")):
        assert await Sources(Media()).resolved(request) is request


async def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "link.png").symlink_to("a.png")
    for path in ("~/a.png", "~/link.png"):
        found = await Sources(Media()).resolved(asked(ImagePart(path=path)))
        assert found.messages is not None
        assert found.messages[1].content == (ImagePart(data=PNG, media_type="image/png"),)


async def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.png").write_text("not at all an image")
    (tmp_path / "large.png").write_bytes(encoded(noise(64, 64)))
    (tmp_path / "bomb.png").write_bytes(bombs()["png"])
    for path, words in (
        (str(tmp_path / "missing.png"), "No such file"),
        (str(tmp_path), "no regular file"),
        (str(tmp_path / "pipe"), "no regular file"),
        ("/dev/zero", "no regular file"),
        (str(tmp_path / "empty.png"), "is empty"),
        (str(tmp_path / "notes.png"), "no kind that can be read"),
        (str(tmp_path / "large.png"), "more than 4.0 KiB (media.max_bytes)"),
        (str(tmp_path / "bomb.png"), "100,000 × 100,000"),
        ("nul\0byte.png", "null"),
        ("", "No such file"),
    ):
        error = await refused(Media(max_bytes=4096), asked(TextPart("See "), ImagePart(path=path)))
        assert words in str(error) and error.what.startswith(f"{path}: ")
        assert error.param == "messages[1].content[1]"
        assert error.fix


async def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    file = tmp_path / "secret.png"
    file.write_bytes(PNG)
    file.chmod(0)
    assert "Permission denied" in str(await refused(Media(), asked(ImagePart(path=str(file)))))


async def test_bytes_that_cannot_be_used() -> None:
    error = await refused(Media(), GenerationRequest(model="m", prompt="p", images=(ImagePart(data=b"GIF"),)))
    assert error.param == "images[0]"
    error = await refused(Media(max_bytes=1024), asked(ImagePart(data=encoded(noise(64, 64)))))
    assert "max_bytes" in str(error)


async def test_an_image_is_exactly_one_thing() -> None:
    for part, words in ((ImagePart(), "none of them"), (ImagePart(data=PNG, path="a"), "has data and path")):
        error = await refused(Media(), asked(part))
        assert words in error.why and error.param == "messages[1].content[0]"


async def test_addresses_are_refused_where_the_settings_do_not_allow_them() -> None:
    error = await refused(Media(), asked(ImagePart(url="http://127.0.0.1/")))
    assert "media.allow_urls" in str(error) and error.param == "messages[1].content[0]"


async def test_no_more_images_than_allowed() -> None:
    eight = asked(*[ImagePart(data=PNG)] * 8)
    await Sources(Media()).resolved(eight)
    error = await refused(Media(), asked(*[ImagePart(data=PNG)] * 9))
    assert "9 images" in str(error) and "media.max_images" in str(error) and error.param == "messages"
    # Counted before any is looked at.
    assert "2 images" in str(await refused(Media(max_images=1), asked(*[ImagePart(path="/missing")] * 2)))


async def test_one_that_fails_ends_the_others(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def slow(served: object, path: str, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await asyncio.sleep(0.02)
                writer.write(b"H")
                await writer.drain()
        finally:
            left.set()

    async with serving(slow) as served:
        sources = Sources(Media(), loopback_fetcher(served, url_seconds=100))
        with pytest.raises(InvalidRequest, match="missing"):
            await sources.resolved(
                asked(ImagePart(url=served.url()), ImagePart(path=str(tmp_path / "missing")))
            )
        if served.hits:
            await asyncio.wait_for(left.wait(), 30)


async def test_the_whole_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.media.sources.MOST_TOGETHER", 2 * len(PNG))
    await Sources(Media()).resolved(asked(*[ImagePart(data=PNG)] * 2))
    assert "together" in str(await refused(Media(), asked(*[ImagePart(data=PNG)] * 3)))

"""Every image of a request as bytes, before a worker has it: files are read, addresses fetched, limits held.

`path` is for callers in this process alone (the chat, `hearth chat`, evals): whoever can name a path can have any
file looked at that this user may read. Codecs of HTTP requests and jobs never make a part with one.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.media.fetch import Fetcher
from engine.media.header import read_header, too_long
from engine.settings import Media, show_size
from engine.types import GenerationRequest, ImagePart, Message

_AT_ONCE: Final = 4
"""Files that are read, and addresses that are asked, at the same time."""

MOST_TOGETHER: Final = 256 * 1024 * 1024
"""Bytes of all images of a request: they travel to the worker in one frame."""

Found = dict[tuple[int, int], ImagePart]
"""Images by message (-1: the request's own) and place in it."""


class Sources:
    """See `resolved`. `fetcher` is for tests; else it is made from `media`."""

    def __init__(self, media: Media, fetcher: Fetcher | None = None) -> None:
        self._media = media
        self._fetcher = fetcher if fetcher is not None else Fetcher(media)

    async def resolved(self, request: GenerationRequest) -> GenerationRequest:
        """`request` with every image as `data` of a known `media_type`; the very same where it has none.

        The bytes are not decoded here: a file may still turn out to be damaged in the worker. Raises InvalidRequest
        naming the place (`messages[0].content[1]`, `images[2]`), and the file where there is one.
        """
        found = dict(_images(request))
        if not found:
            return request
        if len(found) > self._media.max_images:
            raise InvalidRequest(
                f"The request holds {len(found)} images.",
                f"At most {self._media.max_images} are taken (media.max_images).",
                "Leave some out, the oldest perhaps.",
                param="messages" if request.messages else "images",
            )
        return _with_images(request, await self._all(found))

    async def _all(self, found: Found) -> Found:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(key: tuple[int, int], part: ImagePart) -> ImagePart:
            async with turns:
                return await self._one(part, _place(*key))

        tasks = {key: asyncio.ensure_future(one(key, part)) for key, part in found.items()}
        try:
            await asyncio.gather(*tasks.values())
        finally:
            # One that fails ends the request: the others need not be fetched any more.
            for task in tasks.values():
                task.cancel()
            await asyncio.wait(tasks.values())
        whole = {key: task.result() for key, task in tasks.items()}
        if sum(len(part.data or b"") for part in whole.values()) > MOST_TOGETHER:
            raise InvalidRequest(
                "The images of the request are too large together.",
                f"They have more than {show_size(MOST_TOGETHER)}.",
                "Make them smaller, or leave some out.",
                param="messages" if any(number >= 0 for number, _ in whole) else "images",
            )
        return whole

    async def _one(self, part: ImagePart, param: str) -> ImagePart:
        said = [name for name in ("data", "path", "url") if getattr(part, name) is not None]
        if len(said) != 1:
            raise InvalidRequest(
                "An image is exactly one of `data`, `path` and `url`.",
                f"This one has {' and '.join(said) or 'none of them'}.",
                param=param,
            )
        if part.data is not None:
            return self._seen(part, part.data, param)
        if part.path is not None:
            return await asyncio.to_thread(self._from_file, part, part.path, param)
        assert part.url is not None
        return self._seen(part, await self._fetcher.fetch(part.url, param), param)

    def _from_file(self, part: ImagePart, path: str, param: str) -> ImagePart:
        try:
            return self._seen(part, self._read(path, param), param)
        except HearthError as error:
            # People name files, not places in a request.
            raise InvalidRequest(f"{path}: {error.what}", error.why, error.fix, param=param) from None

    def _read(self, path: str, param: str) -> bytes:
        most = self._media.max_bytes
        try:
            place = os.path.expanduser(path)
            # Before it is opened, which does something to devices; and then that which was opened.
            _check_file(os.stat(place), param, most)
            handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                _check_file(os.fstat(handle), param, most)
                with open(handle, "rb", closefd=False) as file:
                    # It may grow meanwhile.
                    return file.read(most + 1)
            finally:
                os.close(handle)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise _unreadable(f"{why}.", param) from None

    def _seen(self, part: ImagePart, data: bytes, param: str) -> ImagePart:
        header = read_header(data, param, most_bytes=self._media.max_bytes)
        return ImagePart(data=data, media_type=header.media_type, detail=part.detail)


def _check_file(found: os.stat_result, param: str, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable("It is no regular file.", param)
    if found.st_size > most:
        raise too_long(param, most)


def has_images(request: GenerationRequest) -> bool:
    """Whether there are images in `request`."""
    return next(_images(request), None) is not None


def _unreadable(why: str, param: str) -> InvalidRequest:
    return InvalidRequest(
        "The image cannot be read.", why, "Name an image file on this machine.", param=param
    )


def _images(request: GenerationRequest) -> Iterator[tuple[tuple[int, int], ImagePart]]:
    for place, part in enumerate(request.images):
        yield (-1, place), part
    for number, message in enumerate(request.messages or ()):
        if not isinstance(message.content, str):
            for place, each in enumerate(message.content):
                if isinstance(each, ImagePart):
                    yield (number, place), each


def _place(message: int, place: int) -> str:
    return f"images[{place}]" if message < 0 else f"messages[{message}].content[{place}]"


def _with_images(request: GenerationRequest, found: Found) -> GenerationRequest:
    messages = request.messages
    if messages is not None:
        messages = tuple(_message(message, number, found) for number, message in enumerate(messages))
    return replace(
        request,
        messages=messages,
        images=tuple(found[-1, place] for place in range(len(request.images))),
    )


def _message(message: Message, number: int, found: Found) -> Message:
    if isinstance(message.content, str) or not any(key[0] == number for key in found):
        return message
    return replace(
        message,
        content=tuple(found.get((number, place), part) for place, part in enumerate(message.content)),
    )

"""The pictures of requests: read once, encoded once, and put among the tokens of the prompt.

Where a picture stands is told to the template by a part of its own where the template writes something for it, and else
by a mark in the text that nobody can guess. What people write is never taken for a picture: so there are always as many
places as pictures, and as many tokens as a picture has.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from engine.errors import InternalError, InvalidRequest
from engine.runtime.backends.media import Laid, MediaReader, Span
from engine.types import DocumentPart, ImagePart, Message, Part, TextPart

if TYPE_CHECKING:
    from engine.media.picture import Picture

MOST_BYTES: Final = 256 << 20
"""Embeddings that are remembered."""
MOST_NAMES: Final = 4096
_JOINER: Final = "\N{WORD JOINER}"
"""Keeps what looks like a stand-in for a picture from being one."""


class Album:
    """The pictures that a model was shown last, by content. From any thread."""

    def __init__(self, media: MediaReader) -> None:
        self._media = media
        self._names: OrderedDict[bytes, str] = OrderedDict()
        """The content of a picture by that of its file, as it was read for a longest side."""
        self._laid: OrderedDict[str, Laid] = OrderedDict()
        self._lock, self._encoding = threading.Lock(), threading.Lock()

    @property
    def stand_in(self) -> str | None:
        return self._media.stand_in

    def laid(self, data: bytes, max_side: int) -> tuple[str, Laid]:
        """The key of the picture in the file `data`, and its tokens. Raises InvalidRequest."""
        name = blake2b(data, digest_size=32, salt=max_side.to_bytes(8, "little")).digest()
        with self._lock:
            key = self._names.get(name)
            found = self._laid.get(key) if key is not None else None
        if key is not None and found is not None:
            return key, found
        from engine.media.picture import read

        picture: Picture = read(data, max_side)
        made = self._media.read(picture)
        with self._lock:
            self._names[name] = picture.key
            while len(self._names) > MOST_NAMES:
                self._names.popitem(last=False)
            return picture.key, self._laid.setdefault(picture.key, made)

    def encoded(self, key: str, laid: Laid) -> Laid:
        """The same with the embeddings of all its spans."""
        # One at a time: each takes all cores.
        with self._encoding:
            with self._lock:
                laid = self._laid.get(key, laid)
            if all(span.vectors is not None for span in laid.spans):
                made = laid
            else:
                made = Laid(laid.tokens, tuple(self._encode(span) for span in laid.spans))
        with self._lock:
            self._laid[key] = made
            self._laid.move_to_end(key)
            while len(self._laid) > 1 and sum(map(_bytes, self._laid.values())) > MOST_BYTES:
                self._laid.popitem(last=False)
        return made

    def _encode(self, span: Span) -> Span:
        made = self._media.encode(span)
        if len(made.vectors) != span.count:
            raise InternalError(
                "A picture has another number of embeddings than of tokens.",
                f"{len(made.vectors)} embeddings for {span.count} tokens.",
            )
        return made


class Pictures:
    """The pictures of one request, in the messages as they are to be rendered (`messages`).

    Raises InvalidRequest, by the number of the picture, for one that cannot be read.
    """

    def __init__(self, messages: Sequence[Message], album: Album, max_side: int) -> None:
        self._album = album
        self._nonce = secrets.token_hex(8)
        self._mark = re.compile(f"⟦picture {self._nonce} ([0-9]+)⟧")
        self._files: list[bytes] = []
        self.messages = tuple(self._noted(message) for message in messages)
        self._laid = [self._read(number, data, max_side) for number, data in enumerate(self._files)]

    def __bool__(self) -> bool:
        return bool(self._files)

    def _read(self, number: int, data: bytes, max_side: int) -> tuple[str, Laid]:
        try:
            return self._album.laid(data, max_side)
        except InvalidRequest as error:
            if len(self._files) == 1:
                raise
            info = error.info
            raise InvalidRequest(
                f"Picture {number + 1} of {len(self._files)}: {info.what}", info.why, info.fix, param=info.param
            ) from None

    def _noted(self, message: Message) -> Message:
        """The message with its pictures numbered, and nothing else in it that could be taken for one."""
        content = message.content
        if isinstance(content, str):
            return replace(message, content=self._harmless(content))
        return replace(message, content=tuple(self._part(part) for part in content))

    def _part(self, part: Part) -> Part:
        match part:
            case ImagePart():
                self._files.append(part.data or b"")
                number = len(self._files) - 1
                if self._album.stand_in is None:
                    return TextPart(f"⟦picture {self._nonce} {number}⟧")
                return ImagePart(url=str(number))
            case TextPart():
                return TextPart(self._harmless(part.text))
            case DocumentPart():
                return replace(part, text=self._harmless(part.text))
            case _:
                return part

    def _harmless(self, text: str) -> str:
        stand_in = self._album.stand_in
        if stand_in is None:
            return text
        return text.replace(stand_in, stand_in[:1] + _JOINER + stand_in[1:])

    # --- among tokens

    def place(
        self,
        text: str,
        messages: Sequence[Message],
        tokenize: Callable[[str, bool], list[int]],
        token_of: Callable[[str], int | None],
        *,
        encode: bool,
    ) -> Laid:
        """The tokens of `text`, which was rendered from `messages`, with the pictures in their places.

        `tokenize` makes tokens of text, at the beginning of a prompt or not. With `encode` the spans have their
        embeddings. Raises InvalidRequest where the template has left a picture out.
        """
        stand_in = self._album.stand_in
        if stand_in is not None:
            shown = [
                int(part.url or 0)
                for message in messages
                if not isinstance(message.content, str)
                for part in message.content
                if isinstance(part, ImagePart)
            ]
            pieces: list[list[int] | int] = []
            pieces += self._split(tokenize(text, True), token_of(stand_in), shown)
        else:
            pieces, begun = [], True
            for index, piece in enumerate(self._mark.split(text)):
                if index % 2:
                    pieces.append(int(piece))
                elif piece or begun:
                    pieces.append(tokenize(piece, begun))
                    begun = False
        return self._joined(pieces, encode=encode)

    @staticmethod
    def _split(tokens: Sequence[int], stand_in: int | None, shown: Sequence[int]) -> list[list[int] | int]:
        places = [place for place, token in enumerate(tokens) if token == stand_in]
        if len(places) != len(shown):
            raise InvalidRequest(
                f"The model's template shows {len(places)} of {len(shown)} pictures.",
                "It has no place for a picture in a message of that role.",
                "Put the pictures into messages of the user.",
                param="messages",
            )
        pieces: list[list[int] | int] = []
        start = 0
        for place, number in zip(places, shown, strict=True):
            pieces += [list(tokens[start:place]), number]
            start = place + 1
        return [*pieces, list(tokens[start:])]

    def _joined(self, pieces: Sequence[list[int] | int], *, encode: bool) -> Laid:
        tokens: list[int] = []
        spans: list[Span] = []
        for piece in pieces:
            if isinstance(piece, list):
                tokens += piece
                continue
            key, laid = self._laid[piece]
            if encode:
                laid = self._album.encoded(key, laid)
            spans += [span.moved(len(tokens)) for span in laid.spans]
            tokens += laid.tokens
        return Laid(tuple(tokens), tuple(spans))

    def plain(self, text: str) -> str:
        """The text without the marks of pictures."""
        return self._mark.sub("", text)


def has_pictures(messages: Sequence[Message]) -> bool:
    return any(
        isinstance(part, ImagePart)
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def _bytes(laid: Laid) -> int:
    return sum(span.vectors.nbytes for span in laid.spans if span.vectors is not None)

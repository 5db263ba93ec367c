"""The pictures that a model was shown last: each is read once, and encoded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from engine.errors import InternalError
from engine.runtime.backends.media import Laid, MediaReader, Span

if TYPE_CHECKING:
    from engine.media.picture import Picture

MOST_BYTES: Final = 256 << 20
"""Embeddings that are remembered, with what others are to be made of."""
MOST_NAMES: Final = 4096


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

    def laid(self, data: bytes, max_side: int, *, alone: bool) -> tuple[str, Laid]:
        """The key of the picture in the file `data`, and its tokens, `alone` in its prompt or not.

        Raises InvalidRequest.
        """
        among = self._media.alone_differs and not alone
        name = blake2b(
            data, digest_size=32, salt=max_side.to_bytes(8, "little"), person=b"among" if among else b""
        ).digest()
        with self._lock:
            key = self._names.get(name)
            found = self._laid.get(key) if key is not None else None
        if key is not None and found is not None:
            return key, found
        from engine.media.picture import read

        picture: Picture = read(data, max_side)
        made = self._media.read(picture, alone=not among)
        key = f"{picture.key} among others" if among else picture.key
        with self._lock:
            self._names[name] = key
            while len(self._names) > MOST_NAMES:
                self._names.popitem(last=False)
            laid = self._laid.setdefault(key, made)
            self._laid.move_to_end(key)
            self._forget()
            return key, laid

    def encoded(self, key: str, laid: Laid) -> Laid:
        """The same with the embeddings of all its spans."""
        # One at a time: each takes all cores.
        with self._encoding:
            with self._lock:
                laid = self._laid.get(key, laid)
            if all(span.vectors is not None for span in laid.spans):
                made = laid
            else:
                made = replace(laid, spans=tuple(self._encode(span) for span in laid.spans))
        with self._lock:
            self._laid[key] = made
            self._laid.move_to_end(key)
            self._forget()
        return made

    def forget(self) -> None:
        """Give up all of them; who has one already keeps it."""
        with self._lock:
            self._names.clear()
            self._laid.clear()

    @property
    def size(self) -> int:
        """Bytes that the pictures take."""
        return sum(laid.size for laid in self._laid.values())

    def _forget(self) -> None:
        while len(self._laid) > 1 and self.size > MOST_BYTES:
            self._laid.popitem(last=False)

    def _encode(self, span: Span) -> Span:
        made = self._media.encode(span)
        if len(made.vectors) != span.count:
            raise InternalError(
                "A picture has another number of embeddings than of tokens.",
                f"{len(made.vectors)} embeddings for {span.count} tokens.",
            )
        return made

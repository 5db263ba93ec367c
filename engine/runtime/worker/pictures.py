"""The pictures of a request, put among the tokens of its prompt.

The model's template says where a picture stands, if it writes anything for one; else a mark in the text does, that
nobody can guess. What people write is never taken for a picture: so there are always as many places as pictures.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from msgspec.structs import replace

from engine.errors import InternalError, InvalidRequest
from engine.runtime.backends.media import Laid, Span
from engine.runtime.worker.album import Album
from engine.types import ImagePart, Message, Part, TextPart

_JOINER: Final = "\N{WORD JOINER}"
"""Keeps what looks like a stand-in for a picture from being one."""


class Unwanted(InternalError):
    """Nobody waits any more for the request whose pictures are being looked at."""


class Pictures:
    """The pictures of one request, in the messages as they are to be rendered (`messages`).

    `written` is what the template writes for a picture, or nothing. Raises InvalidRequest, by the number of the
    picture, for one that cannot be read, and Unwanted between two of them once the request is not `wanted`.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        album: Album,
        max_side: int,
        written: str,
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        self._album, self._written, self._wanted = album, written, wanted
        stand_in = album.stand_in
        self._stand_in = stand_in if stand_in is not None and stand_in in written else None
        """The token that is taken for a picture; None: its place is found in the text."""
        self._nonce = secrets.token_hex(8)
        self._mark = re.compile(f"⟦picture {self._nonce} ([0-9]+)⟧")
        self._files: list[bytes] = []
        self.messages = tuple(self._noted(message) for message in messages)
        self._laid = [self._read(number, data, max_side) for number, data in enumerate(self._files)]

    def __bool__(self) -> bool:
        return bool(self._files)

    def _check_wanted(self) -> None:
        if self._wanted is not None and not self._wanted():
            raise Unwanted("The request is not wanted any more.", "It was cancelled.")

    def _read(self, number: int, data: bytes, max_side: int) -> tuple[str, Laid]:
        self._check_wanted()
        try:
            return self._album.laid(data, max_side, alone=len(self._files) == 1)
        except InvalidRequest as error:
            if len(self._files) == 1:
                raise
            info = error.info
            raise InvalidRequest(
                f"Picture {number + 1} of {len(self._files)}: {info.what}",
                info.why,
                info.fix,
                param=info.param,
            ) from None

    def _noted(self, message: Message) -> Message:
        """The message with its pictures numbered."""
        content = message.content
        return (
            message
            if isinstance(content, str)
            else replace(message, content=tuple(self._part(part) for part in content))
        )

    def _part(self, part: Part) -> Part:
        if not isinstance(part, ImagePart):
            return part
        self._files.append(part.data or b"")
        number = len(self._files) - 1
        return ImagePart(url=str(number)) if self._written else TextPart(f"⟦picture {self._nonce} {number}⟧")

    def harmless(self, said: Any) -> Any:
        """What others have written, as the template gets it, with nothing in it that could be taken for a picture."""
        taken = self._stand_in or self._written
        return _apart(said, taken) if taken else said

    # --- among tokens

    def place(
        self,
        text: str,
        messages: Sequence[Message],
        arranged: Sequence[Message],
        tokenize: Callable[[str, bool], list[int]],
        token_of: Callable[[str], int | None],
        *,
        encode: bool,
    ) -> Laid:
        """The tokens of `text`, which was rendered from `messages`, with the pictures in their places.

        `arranged` are the messages as the template got them: in another order, it may be, or with some left out.
        `tokenize` makes tokens of text, at the beginning of a prompt or not. With `encode` the spans have their
        embeddings. Raises InvalidRequest where the template has left a picture out.
        """
        if not self._written:
            found = self._mark.split(text)
            texts, shown = found[::2], [int(number) for number in found[1::2]]
            wanted = {number for message in messages for number in self._mark.findall(message.text)}
            self._check_shown(len(wanted & {*found[1::2]}), len(wanted))
        else:
            texts = text.split(self._stand_in or self._written)
            shown = _numbers(arranged)
            self._check_shown(min(len(texts) - 1, len(shown)), len(_numbers(messages)))
            self._check_shown(len(texts) - 1, len(shown))
        texts = self._edged(texts, shown)
        if self._stand_in is None:
            pieces = _tokens_of(_alternating(texts, shown), tokenize)
        else:
            runs = _runs(tokenize(self._stand_in.join(texts), True), token_of(self._stand_in))
            if len(runs) != len(texts):
                raise InternalError("The model's tokenizer does not know its own token for a picture.")
            pieces = _alternating(runs, shown)
        return self._joined(pieces, encode=encode)

    def _edged(self, texts: Sequence[str], shown: Sequence[int]) -> list[str]:
        """The texts between pictures with the words that belong around these."""
        laid = [self._laid[number][1] for number in shown]
        after = ["", *(each.after for each in laid)]
        before = [*(each.before for each in laid), ""]
        return ["".join(parts) for parts in zip(after, texts, before, strict=True)]

    @staticmethod
    def _check_shown(places: int, wanted: int) -> None:
        if places != wanted:
            raise InvalidRequest(
                f"The model's template shows {places} of {wanted} images.",
                "It has no place for one in a message of that role.",
                "Put the images into messages of the user.",
                param="messages",
            )

    def _joined(self, pieces: Pieces, *, encode: bool) -> Laid:
        tokens: list[int] = []
        spans: list[Span] = []
        for piece in pieces:
            if isinstance(piece, list):
                tokens += piece
                continue
            key, laid = self._laid[piece]
            if encode:
                self._check_wanted()
                laid = self._album.encoded(key, laid)
            spans += [span.moved(len(tokens)) for span in laid.spans]
            tokens += laid.tokens
        return Laid(tuple(tokens), tuple(spans))

    def plain(self, text: str) -> str:
        """The text without the marks of pictures."""
        return self._mark.sub("", text)


def _numbers(messages: Sequence[Message]) -> list[int]:
    """The numbers of the pictures in `messages`, in order."""
    return [
        int(part.url or 0)
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, ImagePart)
    ]


Pieces = list[list[int] | int]
"""Tokens, and the numbers of pictures between them."""


def _tokens_of(pieces: Sequence[str | int], tokenize: Callable[[str, bool], list[int]]) -> Pieces:
    """Text and numbers of pictures in turn, the text as tokens."""
    found: Pieces = []
    for index, piece in enumerate(pieces):
        if index % 2:
            found.append(int(piece))
        elif piece or not index:
            found.append(tokenize(str(piece), not index))
    return found


def _runs(tokens: Sequence[int], separator: int | None) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for token in tokens:
        if token == separator:
            found.append([])
        else:
            found[-1].append(token)
    return found


def _alternating(pieces: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
    return [each for pair in zip_longest(pieces, numbers) for each in pair if each is not None]


def _apart(said: Any, taken: str) -> Any:
    """`said` with `taken` nowhere in its texts, nor where parts of a message meet."""
    if isinstance(said, str):
        return said.replace(taken, taken[:1] + _JOINER + taken[1:])
    if isinstance(said, Mapping):
        return {_apart(name, taken): _apart(value, taken) for name, value in said.items()}
    if not isinstance(said, list | tuple):
        return said
    made = [_apart(each, taken) for each in said]
    behind = ""
    for place, each in enumerate(made):
        text = each.get("text") if isinstance(each, dict) else None
        if not isinstance(text, str):
            behind = ""
            continue
        if taken in behind + text[: len(taken) - 1]:
            text = _JOINER + text
            made[place] = {**each, "text": text}
        behind = (behind + text)[1 - len(taken) :] if len(taken) > 1 else ""
    return made


def has_pictures(messages: Sequence[Message]) -> bool:
    """Whether there are pictures among the parts of `messages`."""
    return any(
        isinstance(part, ImagePart)
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
    )

"""The vocabulary of a loaded model: text to tokens, tokens to bytes, and which tokens end a turn."""

from __future__ import annotations

import ctypes
import threading
from functools import cached_property, partial
from itertools import repeat
from typing import Any, Final

from engine.runtime.backends.guide import TokenTable
from engine.runtime.backends.llama import portions
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.sampling.candidates import Workbench
from engine.runtime.backends.sampling.dry import DrySamplers

_LOST: Final = "\x00\x01"
"""Two characters that llama.cpp's byte-pair tokenizers drop where one follows the other."""
_LEAD: Final = b"\x02"
"""A byte that no tokenizer joins with others."""


class Vocabulary:
    """Views the vocabulary that `model` (a native handle, which must outlive it) owns."""

    def __init__(self, model: int) -> None:
        api = native()
        self._api = api
        self.handle: int = api.llama_model_get_vocab(model)
        self.size: int = api.llama_vocab_n_tokens(self.handle)
        ends = map(api.llama_vocab_is_eog, repeat(self.handle), range(self.size))
        self.end_tokens: tuple[int, ...] = tuple(token for token, is_end in enumerate(ends) if is_end)
        bos: int = api.llama_vocab_bos(self.handle)
        self.bos = bos if bos >= 0 else None
        self.suppressed = self._suppressed()
        self._pieces: list[bytes | None] = [None] * self.size
        self._local = threading.local()

    @cached_property
    def workbench(self) -> Workbench:
        """Room for the candidates of a draw."""
        return Workbench(self.size)

    @cached_property
    def dry(self) -> DrySamplers:
        """DRY samplers over this vocabulary."""
        return DrySamplers(self.handle)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`. A lone surrogate, which UTF-8 cannot carry, is read as a question mark."""
        parts = text.split(_LOST)
        # Between the two, each is by itself.
        texts = [f"{_LOST[1:] if place else ''}{part}{_LOST[:1]}" for place, part in enumerate(parts[:-1])]
        texts.append(f"{_LOST[1:] if texts else ''}{parts[-1]}")
        tokens: list[int] = []
        for place, each in enumerate(texts):
            tokens += self._tokens(each, add_special=add_special and not place, parse_special=parse_special)
        return tokens

    def _tokens(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        if len(data) <= portions.PORTION or (add_special and self._closes):
            return self._native(data, add_special=add_special, parse_special=parse_special)
        tokens: list[int] = []
        cutter = self._cutters[parse_special]
        for place, portion in enumerate(cutter.portions(data)):
            begins = add_special and not place
            tokens += self._native(portion, add_special=begins, parse_special=parse_special)
        return tokens

    def _native(self, data: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        room = len(data) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            count = self._api.llama_tokenize(
                self.handle, data, len(data), tokens, room, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            room = -count

    @cached_property
    def _closes(self) -> bool:
        """Whether special tokens are added at the end of a text too, or may be."""
        api = self._api
        plain = api.llama_vocab_type(self.handle) in (api.LLAMA_VOCAB_TYPE_BPE, api.LLAMA_VOCAB_TYPE_SPM)
        return (
            not plain or api.llama_vocab_get_add_eos(self.handle) or api.llama_vocab_get_add_sep(self.handle)
        )

    @cached_property
    def _cutters(self) -> dict[bool, portions.Cutter]:
        """Where texts may be cut, by whether control tokens are read in them."""
        api = self._api
        own = api.LLAMA_TOKEN_ATTR_USER_DEFINED
        every = own | api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_UNKNOWN
        kinds = {token: api.llama_vocab_get_attr(self.handle, token) for token in range(self.size)}
        texts = {
            token: api.llama_vocab_get_text(self.handle, token)
            for token, kind in kinds.items()
            if kind & every
        }

        def cutter(which: int) -> portions.Cutter:
            found = [token for token in texts if kinds[token] & which]
            blanks = any(kinds[token] & api.LLAMA_TOKEN_ATTR_LSTRIP for token in found)
            return portions.Cutter([texts[token] for token in found], blanks=blanks)

        return {True: cutter(every), False: cutter(own)}

    def piece(self, token: int) -> bytes:
        """Output bytes of `token`; empty for control and unknown tokens."""
        known = self._pieces[token]
        if known is None:
            known = self._pieces[token] = self._render(token, special=False)
        return known

    def special_text(self, token: int) -> str:
        """Text of any token, control tokens written out."""
        return self._render(token, special=True).decode("utf-8", "replace")

    def token_table(self) -> TokenTable:
        """What grammars have to know of the vocabulary; from any thread, some microseconds for each token.

        Special are control and unknown tokens, whose output is empty, and tokens of the user's that look like a
        tag: those a template or a tool parser reads as one. All go by the text that they are written out as.
        """
        buffer = ctypes.create_string_buffer(1024)
        pieces, special = [], set()
        for token in range(self.size):
            piece, buffer = self._written(token, buffer, special=True)
            pieces.append(piece)
            if self._is_special(token, piece):
                special.add(token)
        leads = {token for token, piece in enumerate(pieces) if piece == _LEAD}
        return TokenTable(
            pieces=pieces,
            special=frozenset(special),
            ends=self.end_tokens,
            tokenize=partial(self._going_on, leads),
        )

    def token_of(self, text: str) -> int | None:
        """The one special token (as in `token_table`) that is exactly `text`, if there is one. From any thread."""
        tokens = self.tokenize(text, add_special=False, parse_special=True)
        if len(tokens) != 1:
            return None
        piece, _ = self._written(tokens[0], ctypes.create_string_buffer(1024), special=True)
        return tokens[0] if piece == text.encode() and self._is_special(tokens[0], piece) else None

    def _is_special(self, token: int, piece: bytes) -> bool:
        api = self._api
        kind = api.llama_vocab_get_attr(self.handle, token)
        unseen = api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_UNKNOWN
        is_tag = kind & api.LLAMA_TOKEN_ATTR_USER_DEFINED and piece[:1] == b"<" and piece[-1:] == b">"
        return bool(kind & unseen or is_tag)

    def _going_on(self, leads: set[int], text: bytes) -> list[int]:
        """Tokens of `text` where it goes on from other text, so that no blank is put before it, as at a beginning.

        Behind a byte that joins with nothing the library puts none; the token of it (one of `leads`) is taken off.
        """
        whole = (_LEAD + text).decode("utf-8", "replace")
        tokens = self.tokenize(whole, add_special=False, parse_special=False)
        cut = next((place for place, token in enumerate(tokens) if token in leads), -1)
        return tokens[cut + 1 :]

    def _render(self, token: int, *, special: bool) -> bytes:
        buffer = getattr(self._local, "buffer", None) or ctypes.create_string_buffer(256)
        piece, self._local.buffer = self._written(token, buffer, special=special)
        return piece

    def _written(self, token: int, buffer: Any, *, special: bool) -> tuple[bytes, Any]:
        """The text of `token`, and `buffer` or the larger one that it took."""
        length = self._api.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = self._api.llama_token_to_piece(self.handle, token, buffer, len(buffer), 0, special)
        return ctypes.string_at(buffer, length), buffer

    def _suppressed(self) -> tuple[int, ...]:
        """Tokens that the model's own file says must never be sampled."""
        count = ctypes.c_int32()
        tokens: Any = self._api.llama_vocab_get_suppress_tokens(self.handle, ctypes.byref(count))
        return tuple(tokens[: count.value]) if count.value > 0 else ()

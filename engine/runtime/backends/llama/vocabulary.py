"""The vocabulary of a loaded model: text to tokens, tokens to bytes, and which tokens end a turn."""

from __future__ import annotations

import ctypes
from itertools import repeat
from typing import Any

from engine.runtime.backends.llama.library import native


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
        self._buffer = ctypes.create_string_buffer(256)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of `text`. A lone surrogate, which UTF-8 cannot carry, is read as a question mark."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            count = self._api.llama_tokenize(
                self.handle, data, len(data), tokens, room, add_special, parse_special
            )
            if count >= 0:
                return tokens[:count]
            room = -count

    def piece(self, token: int) -> bytes:
        """Output bytes of `token`; empty for control and unknown tokens."""
        known = self._pieces[token]
        if known is None:
            known = self._pieces[token] = self._render(token, special=False)
        return known

    def special_text(self, token: int) -> str:
        """Text of any token, control tokens written out."""
        return self._render(token, special=True).decode("utf-8", "replace")

    def _render(self, token: int, *, special: bool) -> bytes:
        length = self._api.llama_token_to_piece(
            self.handle, token, self._buffer, len(self._buffer), 0, special
        )
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = self._api.llama_token_to_piece(
                self.handle, token, self._buffer, len(self._buffer), 0, special
            )
        return self._buffer.raw[:length]

    def _suppressed(self) -> tuple[int, ...]:
        """Tokens that the model's own file says must never be sampled."""
        count = ctypes.c_int32()
        tokens: Any = self._api.llama_vocab_get_suppress_tokens(self.handle, ctypes.byref(count))
        return tuple(tokens[: count.value]) if count.value > 0 else ()

"""A model computed one token at a time by llama.cpp itself, and texts drawn from it by a `Chain`, maybe guided."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.runtime.backends.guide import Guide, GuideMaker
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.sampling.logprobs import Floats
from engine.sampling import resolve

WINDOW = 512


class Decoder:
    """One model with one sequence."""

    def __init__(self, path: Path) -> None:
        self._api = native()
        self._model = self._api.llama_model_load_from_file(
            str(path).encode(), self._api.llama_model_default_params()
        )
        params = self._api.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = WINDOW, 1, 1
        self.context = self._api.llama_init_from_model(self._model, params)
        self.vocabulary = Vocabulary(self._model)
        self.maker = GuideMaker(self.vocabulary.token_table)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Decoder]:
        decoder = cls(path)
        try:
            yield decoder
        finally:
            decoder._api.llama_free(ctypes.c_void_p(decoder.context))
            decoder._api.llama_model_free(ctypes.c_void_p(decoder._model))

    def start(self, tokens: Sequence[int]) -> Floats:
        """Forget what was computed, compute `tokens`, and give the logits after them."""
        self._api.llama_memory_clear(self._api.llama_get_memory(self.context), True)
        return self.more(tokens)

    def more(self, tokens: Sequence[int]) -> Floats:
        """Compute further `tokens`; a view of the logits after them."""
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        assert self._api.llama_decode(self.context, self._api.llama_batch_get_one(array, len(tokens))) == 0
        logits = self._api.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(logits, (self.vocabulary.size,))

    def chain(self, history: Sequence[int] = (), seed: int = 1, **sampling: Any) -> Chain:
        return Chain(resolve(sampling), seed, self.vocabulary, WINDOW, tuple(history))

    def guide(self, grammar: str) -> Guide:
        return self.maker.make(grammar)

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.vocabulary.piece, tokens)).decode()

    def generate(
        self, prompt: Sequence[int], count: int, guide: Guide | None = None, *, seed: int = 1, **sampling: Any
    ) -> list[int]:
        """At most `count` tokens after `prompt`, the end token left out."""
        chain = self.chain(prompt, seed, **sampling)
        try:
            row, found = self.start(prompt), []
            while True:
                token = chain.sample(row, guide, place=(self.context, -1))
                if token in self.vocabulary.end_tokens:
                    return found
                found.append(token)
                if len(found) == count:
                    return found
                row = self.more([token])
        finally:
            chain.close()

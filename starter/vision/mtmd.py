"""Ember-vision through llama.cpp: the language part and the mmproj, driven by mtmd's plain calls, one at a time.

For the score and for tests, on the CPU. Serving is the engine's.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .export import IMAGE_TOKEN

if TYPE_CHECKING:
    from PIL.Image import Image

_BATCH = 512


class Mtmd:
    """A model and its mmproj, loaded; `close` frees both.

    Raises RuntimeError where llama.cpp refuses a file or a step.
    """

    def __init__(self, language: Path, mmproj: Path, *, context: int = 1024) -> None:
        import llama_cpp
        from llama_cpp import mtmd_cpp

        self._llama: Any = llama_cpp
        self._mtmd: Any = mtmd_cpp
        _silence()
        load = llama_cpp.llama_model_default_params()
        load.n_gpu_layers = 0
        self._model = _got(llama_cpp.llama_model_load_from_file(str(language).encode(), load), language)
        shape = llama_cpp.llama_context_default_params()
        shape.n_ctx, shape.n_batch, shape.n_threads, shape.n_threads_batch = context, _BATCH, 1, 1
        self._context = _got(llama_cpp.llama_init_from_model(self._model, shape), language)
        eyes = mtmd_cpp.mtmd_context_params_default()
        eyes.use_gpu, eyes.n_threads, eyes.warmup, eyes.print_timings = False, 1, False, False
        self._eyes = _got(mtmd_cpp.mtmd_init_from_file(str(mmproj).encode(), self._model, eyes), mmproj)
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self._width = llama_cpp.llama_model_n_embd(self._model)

    def close(self) -> None:
        """Free everything; the object is of no use afterwards."""
        self._mtmd.mtmd_free(self._eyes)
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._model)

    def features(self, image: Image) -> NDArray[np.float32]:
        """What the projector makes of ``image``: [tokens, width], as the language part reads it."""
        mtmd = self._mtmd
        chunks = self._chunks(IMAGE_TOKEN, image)
        try:
            for place in range(mtmd.mtmd_input_chunks_size(chunks)):
                chunk = mtmd.mtmd_input_chunks_get(chunks, place)
                if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                    if mtmd.mtmd_encode_chunk(self._eyes, chunk) != 0:
                        raise RuntimeError("mtmd could not encode the picture")
                    shape = (mtmd.mtmd_input_chunk_get_n_tokens(chunk), self._width)
                    found = np.ctypeslib.as_array(mtmd.mtmd_get_output_embd(self._eyes), shape)
                    return np.array(found, np.float32)
            raise RuntimeError("mtmd made no tokens of the picture")
        finally:
            mtmd.mtmd_input_chunks_free(chunks)

    def answer(self, image: Image, prompt: str, most: int = 32) -> str:
        """What follows ``prompt``, greedily; its placeholder stands for ``image``."""
        llama, mtmd = self._llama, self._mtmd
        chunks = self._chunks(prompt, image)
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        past = ctypes.c_int32(0)
        try:
            done = mtmd.mtmd_helper_eval_chunks(
                self._eyes, self._context, chunks, 0, 0, _BATCH, True, ctypes.byref(past)
            )
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
        if done != 0:
            raise RuntimeError(f"mtmd could not read the prompt ({done})")
        said = b""
        size = llama.llama_vocab_n_tokens(self._vocabulary)
        for _ in range(most):
            scores = np.ctypeslib.as_array(llama.llama_get_logits_ith(self._context, -1), (size,))
            token = int(scores.argmax())
            if llama.llama_vocab_is_eog(self._vocabulary, token):
                break
            buffer = ctypes.create_string_buffer(64)
            length = llama.llama_token_to_piece(self._vocabulary, token, buffer, 64, 0, False)
            said += buffer.raw[:length]
            if (
                llama.llama_decode(self._context, llama.llama_batch_get_one((ctypes.c_int32 * 1)(token), 1))
                != 0
            ):
                raise RuntimeError("llama.cpp could not decode")
        return said.decode(errors="replace")

    def _chunks(self, text: str, image: Image) -> Any:
        mtmd = self._mtmd
        plain = image.convert("RGB")
        data = plain.tobytes()
        bitmap = mtmd.mtmd_bitmap_init(
            plain.width, plain.height, (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        )
        marked = text.encode().replace(IMAGE_TOKEN.encode(), mtmd.mtmd_default_marker())
        asked = mtmd.mtmd_input_text()
        asked.text, asked.text_len, asked.add_special, asked.parse_special = marked, len(marked), False, True
        chunks = mtmd.mtmd_input_chunks_init()
        row = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        done = mtmd.mtmd_tokenize(self._eyes, chunks, ctypes.byref(asked), row, 1)
        mtmd.mtmd_bitmap_free(bitmap)
        if done != 0:
            mtmd.mtmd_input_chunks_free(chunks)
            raise RuntimeError(f"mtmd could not read the prompt ({done})")
        return chunks


@cache
def _silence() -> Any:
    """Let the libraries print nothing. Cached, since a callback that is collected takes the process with it."""
    import llama_cpp
    from llama_cpp import mtmd_cpp

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, None)
    mtmd_cpp.mtmd_log_set(quiet, None)
    mtmd_cpp.mtmd_helper_log_set(quiet, None)
    return quiet


def _got(pointer: Any, path: Path) -> Any:
    if not pointer:
        raise RuntimeError(f"llama.cpp does not load {path}")
    return pointer

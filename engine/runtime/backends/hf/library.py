"""A model of transformers as `Library`, and `open_model`, which makes a backend of it.

A pass is one forward over the tokens of all its parts, laid one behind the other; `attention` keeps them apart. That
serves any model whose layers attend through transformers' interface and keep nothing but keys and values. Whether
a model's do is tried when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine.errors import HearthError, InternalError, Unsupported
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import LoadSpec, Progress, StateLost
from engine.runtime.backends.folder.backend import SHELVES, FolderBackend
from engine.runtime.backends.folder.facts import folder_of, shape_of
from engine.runtime.backends.folder.library import Interrupted, Part
from engine.runtime.backends.folder.loading import is_out_of_memory, out_of_memory
from engine.runtime.backends.folder.texts import AT_ONCE
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.hf import attention as ragged
from engine.runtime.backends.hf import model as weights
from engine.runtime.backends.hf.adapters import Adapters
from engine.runtime.backends.hf.holders import Holders
from engine.runtime.backends.sampling.logprobs import Floats


def open_model(spec: LoadSpec, progress: Progress) -> FolderBackend:
    """Load the folder at `spec.path`.

    Raises ModelLoadFailed or InsufficientMemory with the library's reason, Unsupported for a load option or a
    model that cannot be served, and InterruptedError when `progress` answered False.
    """
    weights.check_options(spec.options)
    folder = folder_of(spec)
    vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
    weights.prepare_process()
    library = HfLibrary(spec, folder, weights.load(spec, folder, "eager", progress))
    return FolderBackend(spec, folder, vocabulary, library, "transformers")


class HfLibrary:
    """Owns `model`. Used from one thread, except `interrupt`. Raises Unsupported for a model that it cannot serve."""

    def __init__(self, spec: LoadSpec, folder: ModelFolder, model: Any) -> None:
        import torch

        self._torch, self._model, self._spec, self._folder = torch, model, spec, folder
        self._device = model.device
        shape = shape_of(spec, folder)
        total = shape.slots + SHELVES + AT_ONCE
        self.holders = Holders(total, shape.context, self._device)
        self._attention = ragged.Attention(self.holders)
        self.adapters = Adapters(model)
        if spec.options.threads:
            torch.set_num_threads(spec.options.threads)
        self._check(total - 1)

    def logits(self, parts: Sequence[Part]) -> Floats:
        wanted: list[int] = []
        end = 0
        for part in parts:
            end += len(part.tokens)
            wanted += range(end - part.outputs, end)
        with self._passing():
            kept = self._torch.tensor(wanted or [0], device=self._device)
            found = self._model(**self._laid(parts), logits_to_keep=kept)
            logits: Floats = found.logits[0].float().cpu().numpy()
        return logits

    def states(self, parts: Sequence[Part]) -> Floats:
        with self._passing():
            found = self._model.base_model(**self._laid(parts))
            states: Floats = found.last_hidden_state[0].float().cpu().numpy()
        return states

    def _laid(self, parts: Sequence[Part]) -> dict[str, Any]:
        """The arguments of a pass over all `parts`, one behind the other."""
        pieces: list[ragged.Piece] = []
        tokens: list[int] = []
        positions: list[int] = []
        for part in parts:
            pieces.append(ragged.Piece(part.holder, len(tokens), len(tokens) + len(part.tokens), part.start))
            tokens += part.tokens
            positions += range(part.start, part.start + len(part.tokens))
        self._attention.pieces = pieces
        return {
            "input_ids": self._torch.tensor([tokens], device=self._device),
            "position_ids": self._torch.tensor([positions], device=self._device),
            "use_cache": False,
        }

    @contextmanager
    def _passing(self) -> Iterator[None]:
        """Turns what torch raises into an error of ours; the state of no sequence has changed by it."""
        try:
            with self._torch.inference_mode():
                yield
        except HearthError:
            raise
        except Interrupted:
            self._attention.stop.clear()
            raise
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise out_of_memory(self._spec.model, error) from None
            if self._device.type == "cuda" and "CUDA error" in str(error):
                raise StateLost("The GPU broke off in a step.", f"{error}") from None
            raise InternalError("transformers could not compute a step.", f"{error}") from None

    def interrupt(self) -> None:
        self._attention.stop.set()

    def interrupted(self) -> bool:
        was_up = self._attention.stop.is_set()
        self._attention.stop.clear()
        return was_up

    @property
    def weight_bytes(self) -> int:
        return sum(each.nbytes for each in self._model.parameters())

    @property
    def form(self) -> str:
        import transformers

        options = self._spec.options
        bits = "4bit" if options.load_in_4bit else "8bit" if options.load_in_8bit else ""
        return f"{self._model.dtype} {bits} {self._device.type} transformers {transformers.__version__}"

    def close(self) -> None:
        self._model = None
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def _check(self, other: int) -> None:
        """Hold passes of ours against one of the library's own, and refuse a model that they do not serve.

        A sequence beside another (in the holder `other`), and then in two parts, must come to what the model says of
        it alone.
        """
        size = self._folder.number("vocab_size") or 32
        tokens = [token % size for token in (5, 17, 3, 29, 11)]
        with self._passing():
            alone = self._model(input_ids=self._torch.tensor([tokens], device=self._device), use_cache=False)
            expected = alone.logits[0, -1].float().cpu().numpy()
        self._model.set_attn_implementation(ragged.install(self._attention))
        whole = self.logits([Part(0, tokens[:3], 0), Part(other, tokens, 0, 1)])[0]
        parted = self.logits([Part(0, tokens[3:], 3, 1)])[0]
        self.holders.clear()
        layers = self._folder.number("num_hidden_layers") or self._folder.number("n_layer")
        # Half precision rounds at every layer, and otherwise for another order of sums.
        alike = 0.9999 if self._model.dtype == self._torch.float32 else 0.99
        close = min(_cosine(row, expected) for row in (whole, parted)) >= alike
        if self._attention.calls != 2 * layers or not close:
            raise Unsupported(
                f"{self._folder.path.name} cannot be served by the transformers backend.",
                "Its layers do not all attend through transformers' interface, or keep more than keys and values.",
                "Use a GGUF file of the model.",
                param="model",
            )


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))

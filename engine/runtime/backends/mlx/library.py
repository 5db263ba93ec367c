"""A model of mlx-lm as `Library`, and `open_model`, which makes a backend of it.

Sequences that decode are computed as one batch, those that read one after the other. MLX computes nothing before its
result is wanted, so a pass without outputs never touches the output matrix. A pass cannot be broken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from engine.errors import HearthError, InternalError, Unsupported
from engine.library.devices import asked_of, on_cpu, titled
from engine.library.folder_fit import MLX_GROUP
from engine.library.load_options import check
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import LoadSpec, Progress
from engine.runtime.backends.folder.backend import SHELVES, FolderBackend
from engine.runtime.backends.folder.facts import folder_of, shape_of
from engine.runtime.backends.folder.library import Part
from engine.runtime.backends.folder.loading import check_bits, loading, missing, ran_out, stage
from engine.runtime.backends.folder.texts import AT_ONCE
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.found_devices import mlx_devices
from engine.runtime.backends.mlx.adapters import Adapters
from engine.runtime.backends.mlx.holders import Holders
from engine.runtime.backends.mlx.memory import bound
from engine.runtime.backends.out_of_memory import is_out_of_memory
from engine.runtime.backends.sampling.logprobs import Floats
from engine.text_safety import plain
from engine.types import Device, LoadOptions

if TYPE_CHECKING:
    from engine.runtime.backends.mlx.quantised import KvForm


def open_model(spec: LoadSpec, progress: Progress) -> FolderBackend:
    """Load the folder at `spec.path`.

    Raises ModelLoadFailed or InsufficientMemory with the library's reason, Unsupported for a load option or a
    model that cannot be served, and InterruptedError when `progress` answered False.
    """
    check("mlx", spec.options)
    check_bits(spec.options)
    folder = folder_of(spec)
    vocabulary = Vocabulary(folder.path, folder.number("vocab_size") or None)
    library = MlxLibrary(spec, folder, _load(spec, folder, progress))
    backend = FolderBackend(spec, folder, vocabulary, library, "mlx")
    backend.facts = replace(backend.facts, device=titled(_device(spec.options)))
    return backend


def _load(spec: LoadSpec, folder: ModelFolder, progress: Progress) -> Any:
    stage(spec, progress, "library")
    try:
        import mlx.core as mx
        import mlx.nn as nn
        from mlx_lm.utils import load_model
    except ImportError as error:
        raise missing(spec, "MLX", "mlx", error) from None
    mx.set_default_device(mx.cpu if _device(spec.options).kind == "cpu" else mx.gpu)
    bound(spec.libraries)
    bits = 4 if spec.options.load_in_4bit else 8 if spec.options.load_in_8bit else 0
    _check_quantised(folder, bits)
    stage(spec, progress, "weights")
    with loading(spec, "mlx-lm"):
        model = load_model(folder.path, trust_remote_code=False)[0]
        if bits and "quantization" not in folder.config:
            nn.quantize(model, group_size=MLX_GROUP, bits=bits, class_predicate=_can_be_quantised)
        mx.eval(model.parameters())
        # What quantising has left behind is taken as if it were needed.
        mx.clear_cache()
    stage(spec, progress, "context")
    model.eval()
    return model


def _device(options: LoadOptions) -> Device:
    """The device asked for, else the GPU where there is one; the processor if `gpu_layers` is 0.

    Raises InvalidRequest with those that are there.
    """
    devices = mlx_devices()
    asked = asked_of(devices, options.device)
    if on_cpu(options):
        return devices[-1]
    return asked or devices[0]


def _check_quantised(folder: ModelFolder, bits: int) -> None:
    """Raises Unsupported where the folder's weights have been quantised to other `bits` than are asked for."""
    said = folder.config.get("quantization")
    held = said.get("bits") if isinstance(said, Mapping) else None
    if bits and held is not None and held != bits:
        raise Unsupported(
            f"{folder.path.name} is quantised already: its weights have {held} bits.",
            f"`load_in_{bits}bit` asks for {bits}.",
            f"Leave `load_in_{bits}bit` out, or take the model in its own precision.",
            param=f"load_in_{bits}bit",
        )


def _can_be_quantised(path: str, module: Any) -> bool:
    return hasattr(module, "to_quantized") and module.weight.shape[-1] % MLX_GROUP == 0


class MlxLibrary:
    """Owns `model`. Used from one thread. Raises Unsupported for a model that it cannot serve."""

    media = None
    """mlx-lm reads text only."""

    def __init__(self, spec: LoadSpec, folder: ModelFolder, model: Any) -> None:
        import mlx.core as mx

        self._mx, self._model, self._spec, self._folder = mx, model, spec, folder
        self._stopped = False
        self.adapters = Adapters(model)
        depth = self._depth()
        self.holders = Holders(shape_of(spec, folder).slots + SHELVES + AT_ONCE, depth, self._kv_form(depth))

    def _depth(self) -> int:
        """The number of layers, all of which must keep nothing but keys and values."""
        from mlx_lm.models.cache import KVCache, RotatingKVCache, make_prompt_cache

        caches = make_prompt_cache(self._model)
        if not all(type(cache) in (KVCache, RotatingKVCache) for cache in caches):
            raise Unsupported(
                f"{self._folder.path.name} cannot be served by the MLX backend.",
                "Its layers keep more than keys and values.",
                "Use a GGUF file of the model.",
                param="model",
            )
        return len(caches)

    def _kv_form(self, depth: int) -> KvForm | None:
        """How keys and values are quantised. What shape a model's have is seen when it computes a token."""
        kv_type = self._spec.options.kv_type
        if kv_type is None:
            return None
        from mlx_lm.models.cache import KVCache

        from engine.runtime.backends.mlx.quantised import GROUPS, form_for

        caches = [KVCache() for _ in range(depth)]
        self._mx.eval(self._model(self._mx.array([[0]]), cache=caches))
        sizes = {int(each.shape[-1]) for cache in caches for each in (cache.keys, cache.values)}
        form = form_for(kv_type, sorted(sizes))
        if form is None:
            raise Unsupported(
                f"{self._folder.path.name} cannot have its keys and values quantised.",
                f"Its heads have {', '.join(map(str, sorted(sizes)))} numbers, and MLX quantises {GROUPS[-1]} at once.",
                "Leave `kv_type` out.",
                param="kv_type",
            )
        return form

    def logits(self, parts: Sequence[Part]) -> Floats:
        decodes = [part for part in parts if len(part.tokens) == 1 and part.outputs == 1]
        rows: dict[int, Any] = {}
        try:
            if len(decodes) > 1:
                order = sorted(decodes, key=lambda part: part.holder)
                caches = self.holders.together([part.holder for part in order])
                out = self._model(self._mx.array([list(part.tokens) for part in order]), cache=caches)
                rows = {part.holder: out[place] for place, part in enumerate(order)}
            for part in parts:
                if part.holder not in rows:
                    rows[part.holder] = self._alone(part)
            found = [rows[part.holder] for part in parts if part.outputs]
            if not found:
                return np.empty((0, 0), np.float32)
            whole = self._mx.concatenate(found).astype(self._mx.float32)
            return np.array(whole)
        except HearthError:
            raise
        except Exception as error:
            raise self._broken(error) from None

    def _alone(self, part: Part) -> Any:
        """Logits behind the last `outputs` tokens of one part, [outputs, vocabulary]; None where none are wanted."""
        caches = self.holders.alone(part.holder)
        first, last = self._split(part)
        if first:
            self._model(self._mx.array([first]), cache=caches)
            self._mx.eval([cache.state[:2] for cache in caches])
        return self._model(self._mx.array([last]), cache=caches)[0] if last else None

    def _split(self, part: Part) -> tuple[list[int], list[int]]:
        tokens = list(part.tokens)
        cut = len(tokens) - part.outputs
        return tokens[:cut], tokens[cut:]

    def states(self, parts: Sequence[Part]) -> Floats:
        inner = getattr(self._model, "model", None)
        if inner is None:
            raise Unsupported(f"{self._folder.path.name} gives no embeddings under MLX.", param="model")
        try:
            rows = [
                inner(self._mx.array([list(part.tokens)]), cache=self.holders.alone(part.holder))[0]
                for part in parts
            ]
            return np.array(self._mx.concatenate(rows).astype(self._mx.float32))
        except HearthError:
            raise
        except Exception as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> HearthError:
        if is_out_of_memory(error):
            self._mx.clear_cache()
            return ran_out(self._spec.model, error)
        return InternalError("MLX could not compute a step.", plain(f"{error}", 300))

    def interrupt(self) -> None:
        """A pass cannot be broken off: each is short, since prompts are read in chunks."""

    def interrupted(self) -> bool:
        return False

    @property
    def weight_bytes(self) -> int:
        from mlx.utils import tree_flatten

        return sum(int(array.nbytes) for _, array in tree_flatten(self._model.parameters()))

    @property
    def form(self) -> str:
        options = self._spec.options
        bits = "4bit" if options.load_in_4bit else "8bit" if options.load_in_8bit else ""
        kv_type = options.kv_type or ""
        return f"{bits} {kv_type} mlx {version('mlx')} {self._mx.default_device()}"

    def close(self) -> None:
        self._model = None
        self._mx.clear_cache()

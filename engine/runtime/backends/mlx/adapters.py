"""LoRA adapters of a model under MLX: wrappers are put in once, and their matrices assigned, without reading the base.

Several adapters become one: their factors side by side, the scales in the second. Without any the wrappers are taken
out of the computation by a scale of 0, which gives the base's output exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import InvalidRequest
from engine.library.lora_folder import Fingerprints, Stamp, read_lora, stamp_of
from engine.text_safety import plain
from engine.types import AdapterRef

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"
_Factors = dict[str, tuple[Any, Any]]
"""By module: A as [inputs, rank] and B as [rank, outputs], the adapter's own scale in B."""


class Adapters:
    """The adapters of one model, each by the path of its folder (PEFT's or mlx-lm's)."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._layers: dict[str, Any] = {}
        """The wrappers by module."""
        self._loaded: dict[Stamp, _Factors] = {}
        self._fingerprints = Fingerprints()

    def use(self, adapters: Sequence[AdapterRef]) -> None:
        """Make exactly `adapters` hold. Raises ModelNotFound or InvalidRequest; what held before then stays."""
        import mlx.core as mx

        chosen = [(self._factors(adapter.name), adapter.scale) for adapter in adapters]
        modules = {module for factors, _ in chosen for module in factors}
        for module in modules - self._layers.keys():
            self._wrap(module)
        for module, layer in self._layers.items():
            pairs = [(factors[module], scale) for factors, scale in chosen if module in factors]
            if not pairs:
                layer.scale = 0.0
                continue
            layer.lora_a = mx.concatenate([down for (down, _), _ in pairs], axis=1)
            layer.lora_b = mx.concatenate([up * scale for (_, up), scale in pairs], axis=0)
            layer.scale = 1.0

    @contextmanager
    def meanwhile(self, adapters: Sequence[AdapterRef]) -> Iterator[None]:
        """`adapters` hold inside; behind it those that held before, whatever has become of their files.

        Raises as `use`.
        """
        before = {module: (layer.lora_a, layer.lora_b, layer.scale) for module, layer in self._layers.items()}
        self.use(adapters)
        try:
            yield
        finally:
            for module, layer in self._layers.items():
                if module in before:
                    layer.lora_a, layer.lora_b, layer.scale = before[module]
                else:
                    layer.scale = 0.0

    def identity(self, adapters: Sequence[AdapterRef]) -> str:
        """Tells this set, with its scales and the content of its files, from every other; empty for none."""
        return " ".join(
            f"{self._fingerprints.of(Path(adapter.name))}*{adapter.scale!r}"
            for adapter in sorted(adapters, key=lambda each: each.name)
        )

    def _factors(self, path: str) -> _Factors:
        folder = Path(path)
        stamp = stamp_of(folder)
        if stamp not in self._loaded:
            read = self._read(folder)
            # It was written anew: nothing is computed with those of before, which have been copied into the wrappers.
            self._loaded = {each: kept for each, kept in self._loaded.items() if each[0] != stamp[0]}
            self._loaded[stamp] = read
        return self._loaded[stamp]

    def _read(self, folder: Path) -> _Factors:
        import mlx.core as mx

        adapter = read_lora(folder)
        modules = dict(self._model.named_modules())
        found: _Factors = {}
        for tensor in adapter.tensors.slabs:
            if not tensor.endswith(_DOWN):
                continue
            module = tensor.removesuffix(_DOWN)
            down = mx.array(adapter.tensors.read(tensor)).T
            up = mx.array(adapter.tensors.read(module + _UP)).T
            scale = adapter.config.scale(module, down.shape[1])
            name = module.removeprefix(_PREFIX)
            base = modules.get(name)
            linear = getattr(base, "linear", base)
            if linear is None or linear.weight.shape[0] != up.shape[1]:
                raise InvalidRequest(
                    f"The adapter {plain(str(folder), 200)} does not fit this model.",
                    f"It changes {plain(name, 80)} otherwise than the model has it.",
                    "Use an adapter made for exactly this base model.",
                    param="adapters",
                )
            found[name] = (down, up * scale)
        return found

    def _wrap(self, module: str) -> None:
        from mlx_lm.tuner.lora import LoRALinear

        modules = dict(self._model.named_modules())
        parent, _, leaf = module.rpartition(".")
        layer = LoRALinear.from_base(modules[module], r=1, scale=0.0)
        layer.eval()
        setattr(modules[parent], leaf, layer)
        self._layers[module] = layer

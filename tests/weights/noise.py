"""Adds tensors of random numbers to a GGUF file that is being written."""

from __future__ import annotations

import gguf
import numpy as np


class Noise:
    """Gaussian tensors of a seed; a shape is [outputs, inputs], as numpy and Hugging Face have it."""

    def __init__(self, writer: gguf.GGUFWriter, seed: int) -> None:
        self._writer = writer
        self._rng = np.random.default_rng(seed)

    def add(self, name: str, *shape: int, deviation: float | None = None) -> None:
        """A tensor of this standard deviation, else of one that keeps what it is multiplied with as large."""
        scale = shape[-1] ** -0.5 if deviation is None else deviation
        self._writer.add_tensor(name, self._rng.standard_normal(shape, np.float32) * np.float32(scale))

    def ones(self, name: str, *shape: int) -> None:
        self._writer.add_tensor(name, np.ones(shape, np.float32))

    def linear(self, name: str, rows: int, columns: int) -> None:
        """A weight with its bias."""
        self.add(f"{name}.weight", rows, columns)
        self.add(f"{name}.bias", rows, deviation=0.1)

    def layer_norm(self, name: str, width: int) -> None:
        self.ones(f"{name}.weight", width)
        self.add(f"{name}.bias", width, deviation=0.1)

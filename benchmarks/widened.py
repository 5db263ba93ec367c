"""Ember made large: the same model with a much wider feed-forward, whose further part adds as much noise as asked for.

So there is a pair of models of one vocabulary, one of which costs forty times the other and mostly says the same, as
the large and the small model of a family do; how often they agree is set by the noise. Nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from benchmarks.weights import finish, q8_0
from starter import gguf_path

_BLOCK, _WIDTH = 32, 34
"""Numbers of a Q8_0 block, and its bytes."""
_LENGTH = "llama.feed_forward_length"


def widened(folder: Path, feed_forward: int, noise: float, *, seed: int = 0) -> Path:
    """Ember with `feed_forward` inner numbers a layer, a multiple of 32; written once into `folder`.

    `noise` is the standard deviation of what the added weights write to the residual stream; 0 changes no answer.
    """
    path = folder / f"ember-{feed_forward}-{noise:g}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        _write(partial, feed_forward, noise, np.random.default_rng(seed))
        partial.replace(path)
    return path


def _write(path: Path, feed_forward: int, noise: float, rng: np.random.Generator) -> None:
    reader = gguf.GGUFReader(gguf_path())
    writer = gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in (gguf.Keys.General.ARCHITECTURE, _LENGTH):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], inner)
    writer.add_feed_forward_length(feed_forward)
    for tensor in reader.tensors:
        data = _grown(tensor, feed_forward, noise, rng)
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    finish(writer)


def _grown(tensor: Any, feed_forward: int, noise: float, rng: np.random.Generator) -> NDArray[Any]:
    """The blocks of a matrix of a feed-forward with what is added to them; other tensors as they are."""
    columns, *rows = (int(size) for size in tensor.shape)
    if tensor.name.endswith(("ffn_gate.weight", "ffn_up.weight")):
        more = q8_0(rng, feed_forward - rows[0], columns, columns**-0.5)
        return np.concatenate([tensor.data.reshape(rows[0], -1), more])
    if tensor.name.endswith("ffn_down.weight"):
        added = feed_forward - columns
        more = q8_0(rng, rows[0], added, noise * added**-0.5)
        return np.concatenate([tensor.data.reshape(rows[0], -1), more], axis=1)
    return np.array(tensor.data)

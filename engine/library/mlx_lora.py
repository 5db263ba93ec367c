"""A LoRA adapter as mlx-lm saves it, seen as PEFT has it: so that whatever takes the one takes the other.

The factors are the same matrices the other way round: `lora_a` [inputs, rank] and `lora_b` [rank, outputs], under the
module's name, and `lora_parameters.scale` multiplies them as it stands (`mlx_lm.tuner.lora`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.library.lora import EMBEDDING
from engine.library.peft_config import PeftConfig, damaged, number_in, refused
from engine.library.peft_names import gguf_name
from engine.library.safetensors_file import Slab, TensorFile, open_tensors
from engine.text_safety import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS: Final = "adapters.safetensors"
_OWN: Final = ("lora_parameters", "fine_tune_type")
_PREFIX: Final = "base_model.model."
_FACTORS: Final = {".lora_a": ("A", 1), ".lora_b": ("B", 0)}
"""Which factor it is in PEFT, and which of its dimensions is the rank."""


class TurnedRound(TensorFile, frozen=True):
    """A safetensors file whose matrices are read the other way round; `slabs` has the shapes that come out."""

    def read(self, name: str) -> NDArray[np.float16] | NDArray[np.float32]:
        """The tensor `name`, transposed. Raises ModelLoadFailed."""
        shape = self.slabs[name].shape
        return TensorFile.read(self, name).reshape(shape[::-1]).T


def is_mlx_lora(said: Mapping[str, Any]) -> bool:
    """Whether the configuration `said` is one of mlx-lm's."""
    return "peft_type" not in said and any(key in said for key in _OWN)


def config_of(name: str, said: Mapping[str, Any]) -> PeftConfig:
    """What `said` means in PEFT's words.

    Raises ModelLoadFailed for what makes no sense, and Unsupported for what is no LoRA.
    """
    kind = said.get("fine_tune_type", "lora")
    if kind != "lora":
        raise refused(
            name, f"Its fine_tune_type is {plain(str(kind), 40)}, and only lora can be laid over a model."
        )
    parameters = said.get("lora_parameters")
    if not isinstance(parameters, Mapping):
        raise damaged(name, "Its lora_parameters are no object.")
    rank = number_in(name, parameters, "rank", None, whole=True)
    scale = number_in(name, parameters, "scale", math.nan)
    if rank is None or math.isnan(scale):
        raise damaged(name, f"Its lora_parameters do not say the {'rank' if rank is None else 'scale'}.")
    return PeftConfig(rank=rank, alpha=scale * rank)


def tensors_of(name: str, path: Path, rank: int) -> TensorFile:
    """The factors in the file at `path`, by the names and in the shapes that they have in PEFT.

    Raises ModelLoadFailed for what is not sound, and Unsupported, by name, for what is no factor of LoRA.
    """
    file = open_tensors(path)
    slabs: dict[str, Slab] = {}
    for tensor, slab in file.slabs.items():
        module, dot, leaf = tensor.rpartition(".")
        if leaf == "m":
            raise refused(name, f"It holds {plain(tensor, 120)}: the magnitudes of DoRA.")
        side = _FACTORS.get(dot + leaf)
        if side is None:
            raise refused(name, f"It holds {plain(tensor, 120)}, which is no factor of a LoRA change.")
        if len(slab.shape) != 2:
            raise refused(name, f"It changes all experts of {plain(module, 120)} in one tensor.")
        factor, place = side
        if slab.shape[place] != rank:
            raise damaged(
                name,
                f"{plain(tensor, 120)} is of rank {slab.shape[place]}, and its configuration says {rank}.",
            )
        looked_up = gguf_name(module) == EMBEDDING
        ending = f".lora_embedding_{factor}" if looked_up else f".lora_{factor}.weight"
        slabs[f"{_PREFIX}{module}{ending}"] = Slab(slab.type, slab.shape[::-1], slab.offset)
    return TurnedRound(file.path, slabs)

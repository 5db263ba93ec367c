"""Whether an adapter of PEFT or mlx-lm fits a model folder: the same modules, with as many inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from engine.errors import HearthError, Unsupported
from engine.library.gguf import Header
from engine.library.lora import Matrix, OtherModel
from engine.library.model_folder import ModelFolder
from engine.library.peft import PeftAdapter
from engine.library.peft_config import damaged, refused
from engine.text_safety import plain

_PREFIX = "base_model.model."
_DOWN, _UP = ".lora_A.weight", ".lora_B.weight"


class FolderBase(Struct, frozen=True, kw_only=True):
    """What of a model folder an adapter must fit. Names are those of its tensors without `.weight`."""

    name: str
    matrices: Mapping[str, Matrix]
    eyes: frozenset[str] = frozenset()
    """Those that make of pictures what the language part reads."""


def folder_base(name: str, folder: ModelFolder) -> FolderBase:
    """The model `name` in `folder`."""
    scales = {
        weight.name.removesuffix(".scales"): weight.shape
        for weight in folder.weights
        if weight.name.endswith(".scales") and len(weight.shape) == 2
    }
    matrices = {}
    for weight in folder.weights:
        if weight.name.endswith(".weight") and len(weight.shape) == 2:
            module = weight.name.removesuffix(".weight")
            inputs = weight.shape[1]
            if weight.type == "U32" and module in scales:
                # Packed by MLX: how many numbers a row has is told by its scales.
                inputs = scales[module][1] * _group_size(folder, module)
            matrices[module] = Matrix(inputs, weight.shape[0])
    eyes = {
        weight.name.removesuffix(".weight") for weight in folder.weights if folder.sees and not weight.is_text
    }
    return FolderBase(name=name, matrices=matrices, eyes=frozenset(eyes & matrices.keys()))


def _group_size(folder: ModelFolder, module: str) -> int:
    """How many numbers of a row of `module` share a scale, in a folder that MLX has quantised."""
    said = folder.config.get("quantization")
    said = said if isinstance(said, Mapping) else {}
    own = said.get(module)
    size = (own if isinstance(own, Mapping) else said).get("group_size", said.get("group_size"))
    return size if isinstance(size, int) else 64


def misfit(adapter: Header | PeftAdapter, base: FolderBase, name: str) -> HearthError | None:
    """What keeps an adapter from being laid over `base`; None if nothing does.

    An error that is no OtherModel means that no model could use it here.
    """
    if isinstance(adapter, Header):
        return OtherModel(
            f"The adapter {name} does not fit {base.name}.",
            "It is a GGUF file, and the model is run by transformers.",
            "Use the form of PEFT or mlx-lm of the adapter, or a GGUF file of the model.",
            param="adapters",
        )
    pairs: dict[str, set[str]] = {}
    for tensor in adapter.tensors.slabs:
        side = next((side for side in (_DOWN, _UP) if tensor.endswith(side)), None)
        if side is None or not tensor.startswith(_PREFIX):
            return refused(
                adapter.name, f"It holds {plain(tensor, 120)}, which is no factor of a LoRA change."
            )
        pairs.setdefault(tensor.removesuffix(side), set()).add(side)
    if not pairs:
        return damaged(adapter.name, "It changes no matrix.")
    for module, sides in pairs.items():
        if len(sides) < 2:
            return damaged(adapter.name, f"Half of what it changes at {plain(module, 80)} is missing.")
        error = _mismatch(adapter, base, module)
        if error is not None:
            return error
        if module.removeprefix(_PREFIX) in base.eyes:
            # What was seen is kept for all that come, whatever adapters they ask for.
            return Unsupported(
                f"The adapter {adapter.name} changes how {base.name} sees, not only what it says.",
                f"It changes {plain(module.removeprefix(_PREFIX), 80)}; pictures are looked at without adapters here.",
                "Use one that was trained for the language part alone, or merge it into the model.",
                param="adapters",
            )
    return None


def _mismatch(adapter: PeftAdapter, base: FolderBase, module: str) -> HearthError | None:
    down, up = adapter.tensors.slabs[module + _DOWN].shape, adapter.tensors.slabs[module + _UP].shape
    if len(down) != 2 or len(up) != 2 or down[0] != up[1]:
        return damaged(adapter.name, f"The factors of {plain(module, 80)} do not go together.")
    own = base.matrices.get(module.removeprefix(_PREFIX))
    change = Matrix(down[1], up[0])
    # Some models keep a matrix the other way round (GPT-2's Conv1D).
    if own is not None and change in (own, Matrix(own.outputs, own.inputs)):
        return None
    why = (
        f"It changes {plain(module.removeprefix(_PREFIX), 80)}, which the model does not have."
        if own is None
        else f"It changes {plain(module, 80)} as {change.outputs} x {change.inputs}; "
        f"the model's is {own.outputs} x {own.inputs}."
    )
    return OtherModel(
        f"The adapter {adapter.name} does not fit {base.name}.",
        why,
        "Choose an adapter made from this model.",
        param="adapters",
    )

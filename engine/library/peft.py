"""A PEFT LoRA adapter as llama.cpp wants it: its tensors renamed, put in order and written as GGUF.

Nothing is computed but for what the two have different: the order of the rows of q and k where llama.cpp
rotates neighbours, a transposed embedding, and scales that one alpha for the whole file cannot say.
`plan` decides from headers alone, and refuses by name what cannot be converted; `write` moves the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from engine.library.lora import EMBEDDING, Base, Matrix, check_embedding, check_matrix
from engine.library.peft_config import CONFIG, PeftConfig, damaged, read_config, refused
from engine.library.peft_names import ROTARY, gguf_name, rotated
from engine.library.safetensors_file import TensorFile, open_tensors
from engine.text_safety import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION: Final = 1
"""Raised when the same input is to give another file."""
WEIGHTS: Final = "adapter_model.safetensors"
_PICKLED: Final = "adapter_model.bin"
_MAX_RANK: Final = 65_536
# Name of a factor in PEFT: which of the two it is, and whether it belongs to a looked-up row.
_FACTORS: Final = {
    ".lora_A.weight": ("A", False),
    ".lora_B.weight": ("B", False),
    ".lora_embedding_A": ("A", True),
    ".lora_embedding_B": ("B", True),
}

_UNCHANGED: Final = ".base_layer.weight"


class PeftAdapter(Struct, frozen=True, kw_only=True):
    """A PEFT folder as read: its configuration and the facts of its tensors."""

    name: str
    config: PeftConfig
    tensors: TensorFile


class Change(Struct, frozen=True, kw_only=True):
    """The change of one matrix: the tensors of both factors, and what becomes of them on the way."""

    matrix: str
    down: str
    up: str
    rank: int
    heads: int | None = None
    """Heads whose rows are put into the order of neighbours."""
    transposed: bool = False
    factor: float = 1.0
    """Multiplied into B, where the scale is not that of the file's alpha."""


class Plan(Struct, frozen=True, kw_only=True):
    """How an adapter becomes a GGUF file for one base."""

    architecture: str
    alpha: float
    changes: tuple[Change, ...]


def is_peft(folder: Path) -> bool:
    """Whether `folder` is a PEFT adapter, sound or not."""
    return (folder / CONFIG).is_file()


def read_peft(folder: Path) -> PeftAdapter:
    """The adapter in `folder`, its numbers unread.

    Raises ModelLoadFailed for damaged files, and Unsupported, by name, for what cannot be converted.
    """
    config = read_config(folder)
    weights = folder / WEIGHTS
    if not weights.exists() and (folder / _PICKLED).exists():
        raise refused(
            folder.name,
            f"It is saved as {_PICKLED}, a pickle, and reading a pickle runs what is written in it.",
        )
    return PeftAdapter(name=plain(folder.name, 80), config=config, tensors=open_tensors(weights))


def plan(adapter: PeftAdapter, base: Base) -> Plan:
    """How `adapter` is to be written for `base`.

    Raises ModelLoadFailed, Unsupported, or OtherModel for an adapter of another model.
    """
    rotary = ROTARY.get(base.architecture)
    if rotary is None:
        raise refused(adapter.name, f"The names of {base.architecture} are not known to the converter.")
    changes = [_change(adapter, base, matrix, *pair) for matrix, pair in _pairs(adapter, base).items()]
    if not changes:
        raise damaged(adapter.name, "It changes no matrix.")
    if rotary == "pairs":
        changes = [_reordered(adapter, base, change) for change in changes]
    scales = {change.matrix: adapter.config.scale(_module(change.down)[0], change.rank) for change in changes}
    # llama.cpp multiplies with alpha / rank, and takes an alpha of 0 for none at all.
    wanted = (scales[change.matrix] * change.rank for change in changes)
    alpha = next((each for each in wanted if each), 1.0)
    return Plan(
        architecture=base.architecture,
        alpha=alpha,
        changes=tuple(_scaled(change, scales[change.matrix] * change.rank / alpha) for change in changes),
    )


def _module(tensor: str) -> tuple[str, str]:
    """Module and factor (`.lora_A.weight`, …) of a tensor's name; the factor is empty for any other tensor."""
    for suffix in _FACTORS:
        if tensor.endswith(suffix):
            return tensor.removesuffix(suffix), suffix
    return tensor, ""


def _pairs(adapter: PeftAdapter, base: Base) -> dict[str, tuple[str, str]]:
    """Tensor names of both factors of every matrix, by its GGUF name."""
    found: dict[str, dict[str, str]] = {}
    for tensor in adapter.tensors.slabs:
        module, suffix = _module(tensor)
        if tensor.endswith(_UNCHANGED):
            _check_unchanged(adapter, base, tensor)
            continue
        if not suffix:
            raise refused(adapter.name, f"It holds {plain(tensor, 120)}: {_what(tensor)}.")
        side, looked_up = _FACTORS[suffix]
        matrix = gguf_name(module)
        if matrix is None or looked_up is not (matrix == EMBEDDING):
            raise refused(adapter.name, f"It changes {plain(module, 120)}, whose place in GGUF is not known.")
        if found.setdefault(matrix, {}).setdefault(side, tensor) != tensor:
            raise damaged(adapter.name, f"It changes {matrix} twice.")
    for matrix, sides in found.items():
        if len(sides) < 2:
            raise damaged(adapter.name, f"Half of what it changes at {matrix} is missing.")
    return {matrix: (sides["A"], sides["B"]) for matrix, sides in found.items()}


def _check_unchanged(adapter: PeftAdapter, base: Base, tensor: str) -> None:
    """PEFT saves a copy of the embedding and the output matrix beside changes of them; it is to be the base's."""
    matrix = gguf_name(tensor.removesuffix(_UNCHANGED))
    shape = adapter.tensors.slabs[tensor].shape
    if matrix is None or len(shape) != 2:
        raise refused(adapter.name, f"It holds {plain(tensor, 120)}, whose place in GGUF is not known.")
    check_matrix(matrix, Matrix(shape[1], shape[0]), base, adapter.name)


def _what(tensor: str) -> str:
    if tensor.endswith("lora_magnitude_vector"):
        return "the magnitudes of DoRA, which plain LoRA cannot express"
    if tensor.endswith(".bias"):
        return "a bias, which LoRA in GGUF cannot change"
    if gguf_name(tensor.removesuffix(".weight")):
        return "a whole matrix in place of a change of it"
    return "neither factor of a LoRA change"


def _change(adapter: PeftAdapter, base: Base, matrix: str, down: str, up: str) -> Change:
    """PEFT's factors: A is [rank, inputs] and B [outputs, rank]; the inputs of an embedding are its tokens."""
    first, second = adapter.tensors.slabs[down].shape, adapter.tensors.slabs[up].shape
    if len(first) != 2 or len(second) != 2 or first[0] != second[1] or not 0 < first[0] <= _MAX_RANK:
        raise damaged(
            adapter.name,
            f"The factors of {matrix} have the shapes {first} and {second}, which do not go together.",
        )
    rank = first[0]
    if rank != adapter.config.rank and not adapter.config.ranks_differ:
        raise damaged(
            adapter.name,
            f"The change of {matrix} is of rank {rank}, and its configuration says {adapter.config.rank}.",
        )
    is_embedding = matrix == EMBEDDING
    if is_embedding:
        check_embedding(base, adapter.name)
    inputs, outputs = first[1], second[0]
    check_matrix(
        matrix, Matrix(outputs, inputs) if is_embedding else Matrix(inputs, outputs), base, adapter.name
    )
    return Change(matrix=matrix, down=down, up=up, rank=rank, transposed=is_embedding)


def _reordered(adapter: PeftAdapter, base: Base, change: Change) -> Change:
    place = rotated(change.matrix)
    if place is None:
        return change
    kind, layer = place
    per_layer = base.heads if kind == "q" else base.kv_heads
    heads = per_layer[layer] if layer < len(per_layer) else 0
    if heads < 1 or base.matrices[change.matrix].outputs % (2 * heads):
        raise damaged(adapter.name, f"{base.name} does not say how many heads its {change.matrix} has.")
    return replace(change, heads=heads)


def _scaled(change: Change, factor: float) -> Change:
    # What differs by less is the rounding of a square root.
    return change if abs(factor - 1.0) < 1e-9 else replace(change, factor=factor)


def write(adapter: PeftAdapter, plan: Plan, path: Path) -> None:
    """Write the GGUF file of `plan` to `path`, one matrix in memory at a time.

    Raises ModelLoadFailed for numbers that are not finite or a file that changed, and OSError of the disk.
    """
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, plan.architecture)
    try:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, plan.alpha)
        for change in plan.changes:
            down, up = (adapter.tensors.slabs[name] for name in (change.down, change.up))
            rows = down.shape[::-1] if change.transposed else down.shape
            for side, shape, half in (
                ("lora_a", rows, down.type == "F16"),
                ("lora_b", up.shape, up.type == "F16" and change.factor == 1.0),
            ):
                kind: Any = np.dtype(np.float16 if half else np.float32)
                size = shape[0] * shape[1] * kind.itemsize
                writer.add_tensor_info(f"{change.matrix}.weight.{side}", shape, kind, size)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for change in plan.changes:
            for numbers in _factors(adapter, change):
                writer.write_tensor_data(numbers)
    finally:
        writer.close()


def _factors(adapter: PeftAdapter, change: Change) -> Iterator[NDArray[Any]]:
    """Both factors of a change, as they go into the file."""
    import numpy as np

    for name in (change.down, change.up):
        numbers: NDArray[Any] = adapter.tensors.read(name)
        if not np.isfinite(numbers).all():
            raise damaged(adapter.name, f"{plain(name, 120)} holds numbers that are not finite.")
        if name == change.down:
            numbers = numbers.T if change.transposed else numbers
        else:
            if change.heads is not None:
                numbers = in_pairs(numbers, change.heads)
            if change.factor != 1.0:
                numbers = numbers.astype(np.float32) * np.float32(change.factor)
        yield np.ascontiguousarray(numbers)


def in_pairs(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """The rows of `heads` heads with the two numbers that are rotated together side by side.

    Hugging Face has them half a head apart: 0 h/2, 1 h/2+1, … of `rows` [heads * h, anything].
    """
    count, width = rows.shape
    return rows.reshape(heads, 2, count // heads // 2, width).swapaxes(1, 2).reshape(count, width)

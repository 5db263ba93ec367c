"""Reads a folder with a LoRA adapter, whoever saved it: PEFT or mlx-lm."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import ModelLoadFailed, ModelNotFound
from engine.library import mlx_lora, peft
from engine.library.peft import PeftAdapter
from engine.library.peft_config import CONFIG, said_in
from engine.text_safety import plain


def is_lora_folder(folder: Path) -> bool:
    """Whether `folder` is such an adapter, sound or not."""
    return (folder / CONFIG).is_file()


def is_of_mlx(folder: Path) -> bool:
    """Whether the adapter in `folder` is in mlx-lm's form. Raises ModelLoadFailed."""
    return mlx_lora.is_mlx_lora(said_in(folder))


def weights_of(folder: Path) -> Path:
    """The file with the numbers of the adapter in `folder`; that of PEFT where it cannot be told."""
    try:
        return folder / (mlx_lora.WEIGHTS if is_of_mlx(folder) else peft.WEIGHTS)
    except ModelLoadFailed:
        return folder / peft.WEIGHTS


Stamp = tuple[str, int, int, int, int, int, int]
"""The first is the real place of the adapter."""


def stamp_of(folder: Path) -> Stamp:
    """Another one for every change of the adapter in `folder`: its real place, times and sizes of both of its files.

    Raises ModelNotFound where there is none.
    """
    try:
        numbers, config = weights_of(folder).stat(), (folder / CONFIG).stat()
    except OSError as error:
        raise ModelNotFound(
            f"There is no adapter at {plain(str(folder), 200)}.", f"{error.strerror}.", param="adapters"
        ) from error
    return (
        str(folder.resolve()),
        numbers.st_mtime_ns, numbers.st_ctime_ns, numbers.st_size,
        # Those who copy may set the time of the last change, as of one that has another content; this one nobody can.
        config.st_mtime_ns, config.st_ctime_ns, config.st_size,
    )  # fmt: skip


class Fingerprints:
    """Tells adapters from one another by the content of their files, which are read once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stamp, str]] = {}

    def of(self, folder: Path) -> str:
        """A hash of the adapter in `folder`, hexadecimal. Raises ModelNotFound."""
        stamp = stamp_of(folder)
        known = self._known.get(str(folder))
        if known is not None and known[0] == stamp:
            return known[1]
        digest = hashlib.blake2b((folder / CONFIG).read_bytes(), digest_size=16)
        digest.update(weights_of(folder).read_bytes())
        self._known[str(folder)] = stamp, digest.hexdigest()
        return digest.hexdigest()


def read_lora(folder: Path) -> PeftAdapter:
    """The adapter in `folder` as PEFT has it, its numbers unread.

    Raises ModelLoadFailed for damaged files, and Unsupported, by name, for what is more than plain LoRA.
    """
    said = said_in(folder)
    if not mlx_lora.is_mlx_lora(said):
        return peft.read_peft(folder)
    config = mlx_lora.config_of(folder.name, said)
    tensors = mlx_lora.tensors_of(folder.name, folder / mlx_lora.WEIGHTS, config.rank)
    return PeftAdapter(name=plain(folder.name, 80), config=config, tensors=tensors)

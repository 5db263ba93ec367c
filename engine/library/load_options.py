"""Which load options each backend honours, and why it does not honour the others. Pure.

One that somebody asked for and that a backend cannot honour is refused by its name; a setting, which is meant for all
models, is left out where it means nothing. `docs/backends.md` lists them by this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import Unsupported
from engine.library.devices import canonical
from engine.library.split import parse_split
from engine.types import LoadOptions


class Objection(Struct, frozen=True):
    """Why values of an option are refused: those that `refuses` says, all that are said at all by default."""

    why: str
    fix: str = "Leave `{name}` out."
    refuses: Callable[[Any], bool] = lambda value: True
    honoured: str = "no"
    """What the docs say of the option: `no`, or what of it is honoured."""


_FILE: Final = "A GGUF file fixes the types of its own numbers."
_MAPPED: Final = Objection(
    "The library maps the files of a model folder by itself while it reads them.",
    refuses=lambda value: value is False,
    honoured="always on",
)
_WHOLE: Final = Objection(
    "Keys and values of sliding windows are always kept for the whole window.",
    refuses=lambda value: value is False,
    honoured="always on",
)
_KERNELS: Final = "The library chooses its kernels of attention by itself."
_MLX_THREADS: Final = "MLX decides by itself how many threads it uses."
_ONE: Final = "MLX computes a whole model on one device."
_MLX_KV: Final = ("q8_0", "q4_0")

_OBJECTIONS: Final[Mapping[str, Mapping[str, Objection]]] = {
    "llama": {
        "device": Objection(
            "llama.cpp computes on the CPU what is not on a GPU.",
            "Name GPUs alone, and say with `gpu_layers` how many layers they take.",
            lambda value: "," in value and not _are_gpus(value),
            "one, or several GPUs",
        ),
        "split": Objection(
            "llama.cpp is told shares.",
            "Say shares such as 3,1.",
            lambda value: not parse_split(value).shares,
            "shares",
        ),
        "dtype": Objection(_FILE),
        "load_in_8bit": Objection(_FILE, "Leave `{name}` out, or choose another quantisation of the model."),
        "load_in_4bit": Objection(_FILE, "Leave `{name}` out, or choose another quantisation of the model."),
    },
    "transformers": {
        "device": Objection(
            "", honoured="one, or several, with cpu and disk behind", refuses=lambda value: False
        ),
        "split": Objection("", honoured="shares, sizes", refuses=lambda value: parse_split(value).count == 0),
        "kv_type": Objection(
            "transformers keeps keys and values in the type of the weights.",
            "Leave `{name}` out, or use a GGUF file of the model.",
        ),
        "flash_attention": Objection(_KERNELS),
        "use_mmap": _MAPPED,
        "whole_window": _WHOLE,
    },
    "mlx": {
        "device": Objection(_ONE, "Name one device.", lambda value: "," in value, "one"),
        "split": Objection(_ONE),
        "dtype": Objection(
            "MLX takes weights as the model's folder has them.", "Leave `{name}` out, or use another backend."
        ),
        "kv_type": Objection(
            "MLX keeps keys and values in the type of the weights, or quantises them as q8_0 or q4_0.",
            "Leave `{name}` out, or ask for q8_0 or q4_0.",
            lambda value: value not in _MLX_KV,
            "q8_0, q4_0",
        ),
        "flash_attention": Objection(_KERNELS),
        "use_mmap": _MAPPED,
        "whole_window": _WHOLE,
        "threads": Objection(_MLX_THREADS),
        "batch_threads": Objection(_MLX_THREADS),
        "gpu_layers": Objection(
            _ONE,
            "Leave `{name}` out, or say 0 for the processor or -1 for the GPU.",
            lambda value: value > 0,
            "0, -1",
        ),
    },
}


def objection(backend: str, name: str, value: Any) -> Objection | None:
    """Why `backend` cannot honour the load option `name` with this value; None where it can, or nothing is said."""
    found = _OBJECTIONS.get(backend, {}).get(name)
    if found is None or value == getattr(_PLAIN, name) or not found.refuses(value):
        return None
    return found


def check(backend: str, options: LoadOptions) -> None:
    """Raises Unsupported for the first of `options` that `backend` cannot honour, by its name.

    InvalidRequest for one that nobody could.
    """
    for name in LoadOptions.__struct_fields__:
        value = getattr(options, name)
        found = objection(backend, name, value)
        if found is not None:
            shown = str(value).lower() if isinstance(value, bool) else value
            raise Unsupported(
                f"`{name}` {shown} cannot be honoured by the {backend} backend.",
                found.why,
                found.fix.format(name=name),
                param=name,
            )
    if options.split is not None and canonical(options.device) == "cpu":
        raise Unsupported(
            "`split` is for several devices.",
            "`device` names the processor.",
            "Leave one out.",
            param="split",
        )


def meant_for(backend: str, options: LoadOptions) -> LoadOptions:
    """`options` without those that `backend` cannot honour: for what nobody asked of this model in particular."""
    dropped = {
        name: getattr(_PLAIN, name)
        for name in LoadOptions.__struct_fields__
        if objection(backend, name, getattr(options, name)) is not None
    }
    return replace(options, **dropped) if dropped else options


def honoured(backend: str) -> dict[str, str]:
    """What the docs say of each load option under `backend`: `yes`, `no`, or which values."""
    known = _OBJECTIONS.get(backend, {})
    return {name: known[name].honoured if name in known else "yes" for name in LoadOptions.__struct_fields__}


def _are_gpus(names: str) -> bool:
    return not {"cpu", "disk"} & {canonical(name) for name in names.split(",")}


_PLAIN: Final = LoadOptions()

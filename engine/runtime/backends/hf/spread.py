"""A model on several devices: what transformers is told of where each of its parts goes, and what is where then.

accelerate's hooks move what a part is given to where it is computed. Parts in main memory or on the disk are held by
them, and copied to the first device that computes, whenever they are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.errors import Unsupported
from engine.library.devices import DISK, titled
from engine.library.folder_fit import placed
from engine.library.folder_split import Placement
from engine.library.model_folder import ModelFolder
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.folder.facts import shape_of
from engine.runtime.backends.hf.devices import torch_name
from engine.types import Device

_KEPT: Final = ("cpu", "disk")


def plan_of(spec: LoadSpec, folder: ModelFolder, devices: Sequence[Device]) -> Placement | None:
    """Where each layer goes: as the engine has planned, else by what `devices` have. Raises as `placed`."""
    if spec.planned:
        return spec.placement
    return placed(folder, shape_of(spec, folder), devices, spec.options)


def device_map(kind: Any, folder: ModelFolder, plan: Placement, devices: Sequence[Device]) -> dict[str, Any]:
    """The device of every part of the model in `folder`, by its name, as `from_pretrained` takes it.

    `kind` is the class that is to load it. Raises Unsupported for a model whose layers are not found.
    """
    import torch
    from transformers import AutoConfig

    said = {"trust_remote_code": folder.runs_code}
    config = AutoConfig.from_pretrained(str(folder.path), local_files_only=True, **said)
    with torch.device("meta"):
        skeleton = kind.from_config(config, **said)
    layers = layers_of(skeleton, len(plan.layers))
    if layers is None:
        raise Unsupported(
            f"{folder.path.name} cannot be spread over several devices.",
            "Its layers are not found among its parts.",
            "Name one device.",
            param="device",
        )
    by_name = {device.name: _spoken(device) for device in (*devices, DISK)}
    found = {}
    for name, module in _parts("", skeleton, layers):
        place = next((number for number, layer in enumerate(layers) if layer is module), None)
        found[name] = by_name[plan.main if place is None else plan.layers[place]]
    return found


def computed(places: Mapping[str, Any]) -> dict[str, Any]:
    """Where each part of `places` is computed: what is kept elsewhere on the device that a model is entered by.

    For what is added to a part later on (LoRA), and is to be where that is computed.
    """
    gpus = [place for place in places.values() if place not in _KEPT]
    main = min(gpus) if gpus else "cpu"
    return {name: main if place in _KEPT else place for name, place in places.items()}


def layers_of(model: Any, count: int) -> Any:
    """The list of the `count` layers of the language part; None if it has none of so many."""
    from torch.nn import ModuleList

    decoder = model.get_decoder()
    lists = (each for each in decoder.modules() if isinstance(each, ModuleList) and len(each) == count)
    return next(lists, None)


def computing(plan: Placement, devices: Sequence[Device]) -> tuple[Any, ...]:
    """The device of PyTorch that computes each layer, and so has its keys and values."""
    import torch

    kept = kept_on(plan, devices)
    by_name = {device.name: torch.device(torch_name(device)) for device in devices}
    return tuple(by_name[plan.computes(layer, kept)] for layer in range(len(plan.layers)))


def kept_on(plan: Placement, devices: Sequence[Device]) -> tuple[str, ...]:
    """The names of devices that hold layers of `plan` without computing them."""
    cpus = (device.name for device in devices if device.kind == "cpu" and device.name != plan.main)
    return (*cpus, DISK.name)


def said_of(plan: Placement, devices: Sequence[Device]) -> str:
    """Where it is, for people: `CUDA0 (NVIDIA L4): 20 layers, CPU: 12 layers, to be copied`."""
    kept = kept_on(plan, devices)
    parts = []
    for device in (*devices, DISK):
        count = plan.layers.count(device.name)
        if not count and device.name != plan.main:
            continue
        name = "disk" if device == DISK else titled(device)
        how = ", copied to be computed" if device.name in kept else ""
        parts.append(f"{name}: {count} layer{'' if count == 1 else 's'}{how}")
    return "; ".join(parts)


def _parts(name: str, module: Any, layers: Any) -> Iterator[tuple[str, Any]]:
    """The parts of `module` that go to a device as a whole: each layer, and what has no layers in it."""
    if not any(each is layers for each in module.modules()):
        yield name, module
        return
    for inner, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        yield f"{name}.{inner}".lstrip("."), None
    for inner, child in module.named_children():
        whole = f"{name}.{inner}".lstrip(".")
        if child is layers:
            yield from ((f"{whole}.{number}", layer) for number, layer in enumerate(layers))
        else:
            yield from _parts(whole, child, layers)


def _spoken(device: Device) -> Any:
    """A GPU by its number: accelerate enters a model by the first of a set of them, and one of numbers is in order."""
    if device == DISK:
        return "disk"
    family, mark, number = torch_name(device).partition(":")
    return int(number) if mark and family == "cuda" else family

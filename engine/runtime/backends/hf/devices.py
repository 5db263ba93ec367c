"""The devices of PyTorch for a model folder: the one that a load asks for, and its name."""

from __future__ import annotations

from engine.library.devices import asked_all, on_cpu, spoken
from engine.library.folder_split import Placement
from engine.runtime.backends.found_devices import torch_devices
from engine.types import Device, LoadOptions


def device_of(options: LoadOptions, plan: Placement | None = None) -> Device:
    """The device to run on: the one asked for, else a GPU where there is one; the processor if `gpu_layers` is 0.

    Of several, by a `plan`, it is the first that computes. Raises InvalidRequest with those that are there.
    """
    devices = torch_devices()
    if plan is not None:
        return next(device for device in devices if device.name == plan.main)
    asked = asked_all(devices, options.device)
    if on_cpu(options):
        return devices[-1]
    return asked[0] if asked else devices[0]


def torch_name(device: Device) -> str:
    """The name of `device` in PyTorch, which calls AMD's GPUs cuda too."""
    return spoken(device).replace("rocm", "cuda").replace("metal", "mps")

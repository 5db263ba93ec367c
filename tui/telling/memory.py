"""What a model needs in memory, as figures and words: before a load, and beside what it really took."""

from __future__ import annotations

from dataclasses import dataclass

from engine.text_safety import plain
from engine.types import DeviceNeed, Estimate, MemoryUse
from tui import units

PARTS: tuple[tuple[str, str], ...] = (
    ("weights", "weights"),
    ("KV cache", "kv_cache"),
    ("compute", "compute"),
    ("projector", "projector"),
)
"""What the memory is for: label and field of a `DeviceNeed`."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures in columns, one a device: `rows` are a label and a text for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def needed(estimate: Estimate) -> tuple[int, ...]:
    """Bytes that each device must have: beside the model's own part main memory holds its process."""
    main = next((device for device in estimate.devices if device.kind == "cpu"), None)
    held = sum(device.total for device in estimate.devices if device.kind in ("cpu", "accelerator"))
    process = max(0, estimate.resident - held)
    return tuple(device.total + (process if device is main else 0) for device in estimate.devices)


def needs(estimate: Estimate) -> Table:
    """What an estimate says of each device, and what is free there."""
    devices = estimate.devices
    rows = _parts(devices)
    processes = tuple(need - device.total for need, device in zip(needed(estimate), devices, strict=True))
    if any(processes):
        rows.append(("process", tuple(units.size(process) for process in processes)))
    rows.append(("needs", tuple(units.size(need) for need in needed(estimate))))
    if any(device.free for device in devices):
        rows.append(("free", tuple(units.size(device.free) for device in devices)))
    return Table(tuple(plain(device.device, 8) for device in devices), tuple(rows))


def compared(estimate: Estimate | None, memory: MemoryUse) -> Table:
    """What was predicted beside what the allocator says, over all devices."""
    actual = DeviceNeed(device="", weights=memory.weights, kv_cache=memory.kv_cache, compute=memory.compute)
    predicted = tuple(estimate.devices) if estimate is not None else ()
    rows: list[tuple[str, tuple[str, ...]]] = []
    for label, field in PARTS:
        before = sum(getattr(device, field) for device in predicted)
        now = getattr(actual, field)
        if before or now:
            rows.append((label, (*((units.size(before),) if predicted else ()), units.size(now))))
    before = estimate.resident if estimate is not None else 0
    if before or memory.resident:
        rows.append(
            ("resident", (*((units.size(before),) if predicted else ()), units.size(memory.resident)))
        )
    return Table(("predicted", "actual") if predicted else ("actual",), tuple(rows))


def _parts(devices: tuple[DeviceNeed, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (label, tuple(units.size(getattr(device, field)) for device in devices))
        for label, field in PARTS
        if any(getattr(device, field) for device in devices)
    ]


def verdict(estimate: Estimate) -> str:
    """Whether it fits, in one line: `fits: needs 5.8 GiB, 7.1 GiB are free`."""
    wanted = needed(estimate)
    free = sum(device.free for device in estimate.devices)
    if estimate.fits:
        beside = f", {units.size(free)} are free" if free else ""
        fits = "just fits" if estimate.verdict == "tight" and not estimate.leaving else "fits"
        return f"{fits}: needs {units.size(sum(wanted))}{beside}"
    for device, need in zip(estimate.devices, wanted, strict=True):
        if need > device.free > 0:
            return (
                f"does not fit: needs {units.size(need)} of {plain(device.device, 10)}, "
                f"{units.size(device.free)} are free"
            )
    return f"does not fit: needs {units.size(sum(wanted))}"


def consequences(estimate: Estimate) -> list[str]:
    """What follows from the verdict: what would help, what would leave."""
    found = [plain(estimate.advice)] if estimate.advice else []
    if estimate.leaving:
        found.append(f"Makes room: {', '.join(plain(name, 40) for name in estimate.leaving)}.")
    return found


def remarks(estimate: Estimate) -> list[str]:
    """For which window the figures are, and how far they can be trusted."""
    window = f"A window of {estimate.context:,} tokens"
    trust = "Figures of a dry run" if estimate.exact else "Figures by rule of thumb"
    corrected = (
        "" if estimate.correction == 1.0 else f", corrected by earlier loads (× {estimate.correction:.2f})"
    )
    longest = estimate.largest_context
    more = [f"The longest window that fits: {longest:,} tokens."] if longest > estimate.context else []
    return [
        f"{window}, {estimate.slots} at once." if estimate.slots > 1 else f"{window}.",
        *more,
        f"{trust}{corrected}.",
    ]


def short(estimate: Estimate) -> str:
    """One line for beside a load: `5.8 GiB of 7.1 GiB free · weights 4.4 GiB · KV 1.1 GiB · compute 310 MiB`."""
    free = sum(device.free for device in estimate.devices)
    parts = [f"needs {units.size(sum(needed(estimate)))}" + (f" of {units.size(free)} free" if free else "")]
    for label, field in (("weights", "weights"), ("KV", "kv_cache"), ("compute", "compute")):
        if bytes_ := sum(getattr(device, field) for device in estimate.devices):
            parts.append(f"{label} {units.size(bytes_)}")
    if process := sum(needed(estimate)) - estimate.total:
        parts.append(f"process {units.size(process)}")
    return " · ".join(parts)

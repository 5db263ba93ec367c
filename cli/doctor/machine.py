"""Devices, memory and disks, of one reading of the machine; and the port that the server would take."""

from __future__ import annotations

import errno
import socket

from cli.daemon import Notice
from cli.doctor.check import Check
from engine.settings import show_size
from engine.types import GpuReading, Hardware

GIB = 2**30
LITTLE_MEMORY = GIB
LITTLE_DISK, NO_DISK = 5 * GIB, 256 * 2**20
"""Bytes below which models will hardly fit, and below which Hearth's own files will not."""


def checks(now: Hardware) -> list[Check]:
    """Everything that a reading tells."""
    return [*devices(now), memory(now), *disks(now)]


def devices(now: Hardware) -> list[Check]:
    """Processors and GPUs, and what is missing to read them."""
    cores = f"{len(now.cpu.cores)} cores"
    if now.cpu.limit is not None:
        cores += f", of which {now.cpu.limit:g} may be used"
    found = [Check("processor", "ok", f"{now.cpu.name or 'unknown'}, {cores}")]
    found += [Check(f"gpu {gpu.index}", "ok", _gpu(gpu)) for gpu in now.gpus]
    found += [Check(note.source, "note", note.what, note.fix) for note in now.notes]
    if not now.gpus and not now.notes:
        found.append(Check("gpu", "ok", "none that its driver tells of; models run on the CPU"))
    return found


def memory(now: Hardware) -> Check:
    """Main memory."""
    reading = now.memory
    said = f"{show_size(reading.available)} of {show_size(reading.total)} can be had"
    if reading.limit is not None:
        said += ", which is what a control group allows"
    if reading.available < LITTLE_MEMORY:
        return Check("memory", "note", said, "End other programs, or raise the limit of the container.")
    return Check("memory", "ok", said)


def disks(now: Hardware) -> list[Check]:
    """Free space where Hearth keeps things."""
    found = []
    for disk in now.disks:
        said = f"{show_size(disk.free)} free at {disk.path}"
        name = f"disk ({', '.join(disk.holds)})"
        if disk.free < NO_DISK:
            found.append(Check(name, "broken", said, "Free some space, or move Hearth with HEARTH_HOME."))
        elif disk.free < LITTLE_DISK:
            found.append(Check(name, "note", said, "Models will hardly fit; free some space."))
        else:
            found.append(Check(name, "ok", said))
    return found


def port(host: str, number: int, own: Notice | None = None) -> Check:
    """Whether the server could listen at `host` and `number`; `own` is a server of Hearth that runs."""
    name = f"port {number}"
    if own is not None and own.port == number:
        return Check(name, "ok", f"Hearth's own server listens on {own.url} (pid {own.pid})")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, number))
    except OSError as error:
        fix = "Set another with server.port (or HEARTH_SERVER__PORT)."
        if error.errno == errno.EADDRINUSE:
            from api.port_holder import find

            held = find(number)
            who = held.words if held is not None else "another program"
            return Check(name, "note", f"{who} listens at {host}:{number}", fix)
        return Check(name, "broken", f"{host}:{number} cannot be had: {error.strerror or error}", fix)
    return Check(name, "ok", f"free at {host}")


def _gpu(gpu: GpuReading) -> str:
    if not gpu.memory_total:
        return gpu.name
    total = show_size(gpu.memory_total)
    if gpu.unified:
        return f"{gpu.name}, up to {total} of main memory"
    return f"{gpu.name}, {show_size(gpu.memory_total - (gpu.memory_used or 0))} of {total} free"

"""Apple's GPUs: how much of unified memory they may take by sysctl, the rest by `macmon pipe` where it is installed.

macmon (https://github.com/vladkens/macmon) prints a line of JSON a second; it runs only while somebody looks. Its
versions up to 0.7 name a cluster `gpu_usage: [MHz, share]`, later ones `gpu_freq_mhz` and `gpu_active_ratio`.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.types.hardware import GpuReading

FIRST_LINE_S: Final = 2.5
"""Seconds within which macmon prints its first line."""
OLD_S: Final = 5.0
"""A line older than this tells nothing of now."""
MOST_LINE: Final = 64 * 1024
_KEYS: Final = ("machdep.cpu.brand_string", "hw.memsize", "iogpu.wired_limit_mb")


class AppleFigures(Struct, frozen=True):
    """What macmon says, in the units of `engine.types.hardware`."""

    gpu_busy: float | None = None
    gpu_clock: float | None = None
    gpu_temperature: float | None = None
    gpu_power: float | None = None
    cpu_temperature: float | None = None
    cpu_power: float | None = None
    system_power: float | None = None


class AppleGpu:
    """The GPU of this Mac. `macmon` is the path of the program, None where it is not installed."""

    def __init__(self, macmon: str | None, *, sysctl: str = "/usr/sbin/sysctl") -> None:
        self._macmon = Macmon(macmon) if macmon is not None else None
        self._facts = parse_sysctl(_output((sysctl, *_KEYS)))
        self.figures = AppleFigures()
        """The last ones, also of the processor."""

    def read(self) -> tuple[GpuReading, ...]:
        """It, now."""
        self.figures = (self._macmon.read() if self._macmon is not None else None) or AppleFigures()
        figures = self.figures
        return (
            GpuReading(
                index=0,
                vendor="apple",
                name=self._facts.get("machdep.cpu.brand_string", "Apple GPU"),
                unified=True,
                memory_total=wired_limit(self._facts),
                busy=figures.gpu_busy,
                clock=figures.gpu_clock,
                temperature=figures.gpu_temperature,
                power=figures.gpu_power,
            ),
        )

    def rest(self) -> None:
        """End macmon until somebody looks again."""
        if self._macmon is not None:
            self._macmon.rest()

    def close(self) -> None:
        """The same."""
        self.rest()


class Macmon:
    """`macmon pipe` as a process of ours, read by a thread that keeps its newest line."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._came = threading.Condition()
        self._newest: tuple[float, AppleFigures] | None = None

    def read(self) -> AppleFigures | None:
        """Its newest figures, after a wait for the first; None where it says nothing."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        with self._came:
            self._came.wait_for(lambda: self._newest is not None or self._process is None, FIRST_LINE_S)
            if self._newest is None or time.monotonic() - self._newest[0] > OLD_S:
                return None
            return self._newest[1]

    def rest(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        self.rest()
        with self._came:
            self._newest = None
        try:
            process = subprocess.Popen(
                (self._program, "pipe", "-s", "0", "-i", "1000"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            return
        self._process = process
        threading.Thread(target=self._listen, args=(process,), name="hearth-macmon", daemon=True).start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            while line := lines.readline(MOST_LINE):
                figures = parse_line(line)
                with self._came:
                    if process is not self._process:
                        return
                    if figures is not None:
                        self._newest = (time.monotonic(), figures)
                        self._came.notify_all()


def parse_line(line: bytes) -> AppleFigures | None:
    """The figures in one line of macmon; None if it is none."""
    try:
        said = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    old = said.get("gpu_usage")
    old = old if isinstance(old, list) and len(old) == 2 else (None, None)
    warmth = said.get("temp")
    warmth = warmth if isinstance(warmth, dict) else {}
    return AppleFigures(
        gpu_busy=_share(said.get("gpu_active_ratio", old[1])),
        gpu_clock=_number(said.get("gpu_freq_mhz", old[0])),
        gpu_temperature=_number(warmth.get("gpu_temp_avg")) or None,
        gpu_power=_number(said.get("gpu_power")),
        cpu_temperature=_number(warmth.get("cpu_temp_avg")) or None,
        cpu_power=_number(said.get("cpu_power")),
        # Desktops without the sensor say 0.
        system_power=_number(said.get("sys_power")) or None,
    )


def parse_sysctl(text: str) -> dict[str, str]:
    """`key: value` by line, as sysctl prints them; keys that this system does not know are missing."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value.strip() for key, colon, value in pairs if colon}


def wired_limit(facts: dict[str, str]) -> int | None:
    """Bytes that the GPU may have of unified memory.

    `iogpu.wired_limit_mb` where somebody has set it; else what Metal recommends as the largest working set: two
    thirds of the memory, three quarters of it above 36 GiB.
    """
    try:
        memory = int(facts["hw.memsize"])
        said = int(facts.get("iogpu.wired_limit_mb", "0"))
    except (KeyError, ValueError):
        return None
    if said > 0:
        return min(said * 2**20, memory)
    return memory * 3 // 4 if memory > 36 * 2**30 else memory * 2 // 3


def _output(command: tuple[str, ...]) -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL)
        return done.stdout.decode(errors="replace")
    return ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _share(value: object) -> float | None:
    number = _number(value)
    return None if number is None else min(1.0, max(0.0, number))

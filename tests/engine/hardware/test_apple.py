"""A Mac from recorded lines of macmon, old and new, by a real process, and from recorded sysctl."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.hardware.apple import AppleGpu, Macmon, parse_line, parse_sysctl, wired_limit
from engine.hardware.machine import Machine

GIB = 2**30
OLD = {
    "temp": {"cpu_temp_avg": 43.73, "gpu_temp_avg": 36.95},
    "memory": {"ram_total": 25769803776, "ram_usage": 20985479168, "swap_total": 0, "swap_usage": 0},
    "ecpu_usage": [1181, 0.0827],
    "pcpu_usage": [1974, 0.0152],
    "gpu_usage": [461, 0.0215],
    "cpu_power": 0.2049,
    "gpu_power": 0.0175,
    "ane_power": 0.0,
    "all_power": 0.2223,
    "sys_power": 5.8765,
}
NEW = {
    "timestamp": "2026-02-24T20:38:15.427569+00:00",
    "temp": {"cpu_temp_avg": 61.2, "gpu_temp_avg": 0.0},
    "cpu_active_ratio": 0.092,
    "gpu_freq_mhz": 1398,
    "gpu_scaled_ratio": 0.61,
    "gpu_active_ratio": 0.78,
    "gpu_usage": [1398, 0.61],
    "cpu_power": 8.4,
    "gpu_power": 21.3,
    "sys_power": 0.0,
}
SYSCTL = "machdep.cpu.brand_string: Apple M3 Pro\nhw.memsize: 38654705664\niogpu.wired_limit_mb: 0\n"


def program(folder: Path, name: str, body: str) -> str:
    """A program of its own that runs `body`."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return str(path)


def playing(*lines: object) -> str:
    """Prints the lines and waits, as macmon does between two of them."""
    recorded = json.dumps([json.dumps(line) for line in lines])
    return f"import sys, time\nprint(*{recorded}, sep='\\n', flush=True)\ntime.sleep(60)"


def test_lines_of_both_forms() -> None:
    old = parse_line(json.dumps(OLD).encode())
    assert old is not None
    assert (old.gpu_busy, old.gpu_clock, old.gpu_temperature, old.gpu_power) == (0.0215, 461, 36.95, 0.0175)
    assert (old.cpu_temperature, old.cpu_power, old.system_power) == (43.73, 0.2049, 5.8765)
    new = parse_line(json.dumps(NEW).encode())
    assert new is not None
    assert (new.gpu_busy, new.gpu_clock, new.gpu_power) == (0.78, 1398, 21.3)
    assert (new.gpu_temperature, new.system_power) == (None, None), "a sensor that is not there says 0"


VALUES = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.sampled_from([*OLD, *NEW]), inner),
)


@given(some.binary() | VALUES.map(lambda made: json.dumps(made).encode()))
def test_whatever_is_printed_is_read_or_left(line: bytes) -> None:
    found = parse_line(line)
    assert found is None or found.gpu_busy is None or 0 <= found.gpu_busy <= 1


def test_the_most_that_the_gpu_may_take() -> None:
    facts = parse_sysctl(SYSCTL)
    assert facts["machdep.cpu.brand_string"] == "Apple M3 Pro"
    assert wired_limit(facts) == 24 * GIB, "two thirds of 36 GiB"
    assert wired_limit(facts | {"hw.memsize": str(128 * GIB)}) == 96 * GIB
    assert wired_limit(facts | {"iogpu.wired_limit_mb": "30720"}) == 30 * GIB
    assert wired_limit({}) is None


def test_macmon_is_read_while_somebody_looks_and_ended_after(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    said = f"import os\nopen({str(note)!r}, 'w').write(str(os.getpid()))\n{playing(OLD, NEW)}"
    macmon = Macmon(program(tmp_path, "macmon", said))
    figures = macmon.read()
    while figures is not None and figures.gpu_clock != 1398:
        figures = macmon.read()
    assert figures is not None and figures.gpu_busy == 0.78
    macmon.rest()
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert macmon.read() is not None, "it is begun anew"
    macmon.rest()


@pytest.mark.parametrize("body", ["", "print('error: unsupported Mac')", "import sys; sys.exit(3)"])
def test_a_macmon_that_says_nothing_costs_only_its_figures(
    tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.hardware.apple.FIRST_LINE_S", 0.3)
    macmon = Macmon(program(tmp_path, "macmon", body))
    assert macmon.read() is None
    assert macmon.read() is None
    macmon.rest()
    assert Macmon(str(tmp_path / "nowhere")).read() is None


def test_a_mac_as_a_whole(tmp_path: Path) -> None:
    source = AppleGpu(
        program(tmp_path, "macmon", playing(NEW)),
        sysctl=program(tmp_path, "sysctl", f"print({SYSCTL!r}, end='')"),
    )
    machine = Machine({}, sources=[source])
    found = machine.read()
    machine.close()
    (gpu,) = found.gpus
    assert (gpu.vendor, gpu.name, gpu.unified, gpu.memory_total) == ("apple", "Apple M3 Pro", True, 24 * GIB)
    assert (gpu.busy, gpu.power, gpu.memory_used) == (0.78, 21.3, None)
    assert (found.cpu.temperature, found.cpu.power) == (61.2, 8.4)

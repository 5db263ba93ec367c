"""The machine that the tests run on, really read: processors, memory, disks, processes of models, and their limits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from engine.hardware.control_groups import cpu_limit
from engine.hardware.disks import read_disks
from engine.hardware.machine import Machine
from engine.hardware.main_memory import read_memory
from engine.hardware.processors import hottest
from engine.hardware.residents import Residents, TokenCounts
from engine.types import GpuReading, LoadedModel
from engine.types.hardware import Hardware

MB = 2**20


def test_everything_is_read_and_agrees_with_psutil(tmp_path: Path) -> None:
    machine = Machine({"models": tmp_path})
    found = machine.read()
    machine.close()
    assert isinstance(found, Hardware)
    assert len(found.cpu.cores) == psutil.cpu_count()
    assert all(0 <= core <= 1 for core in found.cpu.cores)
    assert found.cpu.name
    assert 0 < found.memory.used < found.memory.total <= psutil.virtual_memory().total
    (disk,) = found.disks
    assert (
        disk.holds == ("models",) and 0 <= disk.free <= disk.total == psutil.disk_usage(str(tmp_path)).total
    )


def test_a_core_that_works_shows(tmp_path: Path) -> None:
    machine = Machine({})
    machine.read()
    before = psutil.cpu_times()
    while psutil.cpu_times().user + psutil.cpu_times().system < before.user + before.system + 0.2:
        sum(range(10_000))
    assert max(machine.read().cpu.cores) > 0
    machine.close()


@pytest.mark.parametrize("version", [1, 2])
def test_processor_time_of_a_control_group_and_of_its_parents(tmp_path: Path, version: int) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    groups = tmp_path / "sys/fs/cgroup"
    folder = groups / "user/app" if version == 2 else groups / "cpu/user/app"
    name = "0::/user/app\n" if version == 2 else "9:memory:/else\n4:cpu,cpuacct:/user/app\n"
    if version == 1:
        folder = groups / "cpu/user/app"
    (tmp_path / "proc/self/cgroup").write_text(name)
    folder.mkdir(parents=True)

    def limited(place: Path, quota: int) -> None:
        if version == 2:
            (place / "cpu.max").write_text(f"{'max' if quota < 0 else quota} 100000\n")
        else:
            (place / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (place / "cpu.cfs_period_us").write_text("100000\n")

    limited(folder, -1)
    assert cpu_limit(tmp_path) is None
    limited(folder, 350_000)
    assert cpu_limit(tmp_path) == 3.5
    limited(folder.parent, 50_000)
    assert cpu_limit(tmp_path) == 0.5


def test_memory_of_a_control_group_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/app\n")
    folder = tmp_path / "sys/fs/cgroup/app"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{64 * MB}\n")
    (folder / "memory.current").write_text(f"{50 * MB}\n")
    (folder / "memory.stat").write_text(f"inactive_file {10 * MB}\n")
    found = read_memory(tmp_path)
    assert (found.total, found.available, found.limit, found.used) == (64 * MB, 24 * MB, 64 * MB, 40 * MB)
    assert read_memory(tmp_path / "nowhere").limit is None


def test_folders_on_one_filesystem_are_one_disk(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    folders = {"models": tmp_path / "models/not/there/yet", "cache": tmp_path / "cache"}
    (found,) = read_disks(folders)
    assert (found.path, found.holds) == (str(tmp_path), ("models", "cache"))
    assert read_disks({}) == ()


def test_the_package_of_a_processor_before_its_cores() -> None:
    def sensor(label: str, current: float) -> SimpleNamespace:
        return SimpleNamespace(label=label, current=current)

    intel = {
        "nvme": [sensor("Composite", 70.0)],
        "coretemp": [sensor("Package id 0", 61.0), sensor("Core 0", 63.0)],
    }
    assert hottest(intel) == 61.0
    assert hottest({"k10temp": [sensor("Tctl", 55.5), sensor("Tccd1", 58.0)]}) == 55.5
    assert hottest({"cpu_thermal": [sensor("", 48.0)]}) == 48.0
    assert hottest({"nvme": [sensor("Composite", 70.0)]}) is None


def test_models_with_their_processes_rates_and_gpu_memory() -> None:
    code = "import time\nkept = bytearray(40_000_000)\nprint('there', flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"there\n"
            residents = Residents()
            gone = LoadedModel(id="gone", state="ready", pid=2**22 - 3)
            failed = LoadedModel(id="failed", state="failed")
            mine = LoadedModel(id="mine", state="busy", pid=process.pid, active=1)
            gpus = [GpuReading(index=place, vendor="nvidia", processes={process.pid: MB}) for place in (0, 1)]
            residents.read([mine, gone, failed], {"mine": TokenCounts(10, 100)}, gpus)
            used = psutil.Process(process.pid).cpu_times().user
            while psutil.Process(process.pid).cpu_times().user == used:
                os.sched_yield()
            first, second = residents.read([mine, gone, failed], {"mine": TokenCounts(30, 100)}, gpus)
            assert first.resident > 40_000_000 and first.cpu > 0 and first.gpu_memory == 2 * MB
            assert first.decode_rate > 0 and first.prefill_rate == 0
            assert (second.model.id, second.resident, second.cpu) == ("gone", 0, 0.0)
        finally:
            process.kill()


def test_a_driver_that_goes_away_costs_only_its_readings() -> None:
    class Gone:
        def read(self) -> tuple[GpuReading, ...]:
            raise RuntimeError("GPU is lost")

        def rest(self) -> None: ...

        def close(self) -> None: ...

    machine = Machine({}, sources=[Gone()])
    found = machine.read()
    assert found.gpus == () and found.cpu.cores

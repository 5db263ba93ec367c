"""What loads really took corrects the next estimate, within bounds; notes survive other processes and damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from msgspec import Struct

from engine.local import LocalEngine
from engine.paths import Paths, resolve
from engine.runtime.estimates import Estimator, Figures
from engine.runtime.logring import LogRing
from engine.runtime.targets import Targets
from engine.settings import Settings
from engine.store.notes import Notes
from engine.types import LoadOptions, MemoryUse
from tests.weights import tiny_llama


class Estimating:
    """An estimator for one file, without an engine around it."""

    def __init__(self, home: Path, path: Path) -> None:
        self.paths: Paths = resolve({"HEARTH_HOME": str(home)})
        targets = Targets(Settings(), self.paths)
        self.target = targets.find(str(path))
        self.estimator = Estimator(Settings(), self.paths, LogRing(), targets)

    async def figures(self, **options: int) -> Figures:
        devices = await self.estimator.devices()
        found = await self.estimator.figures(
            self.target, LoadOptions(**options), devices, screen_attached=False
        )
        assert found is not None
        return found


@pytest.fixture
def estimating(tmp_path: Path) -> Estimating:
    return Estimating(tmp_path / "home", tiny_llama(tmp_path))


async def test_the_next_estimate_is_corrected_by_what_a_load_took(estimating: Estimating) -> None:
    first = await estimating.figures()
    total, resident = first.estimate.total, first.estimate.resident
    assert first.estimate.correction == 1.0
    await estimating.estimator.learn(first, MemoryUse(weights=int(total * 1.3)), int(resident * 1.2))
    second = await estimating.figures()
    assert second.estimate.correction == pytest.approx(1.3, abs=0.01)
    assert second.estimate.total == pytest.approx(1.3 * total, rel=0.01)
    assert second.estimate.resident > first.estimate.resident
    assert second.demand["main memory"] == second.estimate.resident
    # The same load again: what was learnt stays, and is not applied twice.
    await estimating.estimator.learn(second, MemoryUse(weights=int(total * 1.3)), second.estimate.resident)
    assert (await estimating.figures()).estimate.correction == pytest.approx(1.3, abs=0.01)
    assert (await estimating.figures(context=64)).estimate.correction == 1.0, "another way to load it"


async def test_a_correction_is_bounded(estimating: Estimating) -> None:
    for factor, bound in ((50, 2.0), (0.001, 0.5)):
        figures = await estimating.figures()
        plain = figures.estimate.total / figures.estimate.correction
        await estimating.estimator.learn(figures, MemoryUse(weights=int(plain * factor) + 1), 0)
        assert (await estimating.figures()).estimate.correction == bound


async def test_a_moved_file_keeps_what_was_learnt(estimating: Estimating, tmp_path: Path) -> None:
    figures = await estimating.figures()
    await estimating.estimator.learn(figures, MemoryUse(weights=int(figures.estimate.total * 1.5)), 0)
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "named otherwise.gguf"
    os.rename(estimating.target.entry.path, moved)
    found = await Estimating(tmp_path / "home", moved).figures()
    assert found.estimate.correction == pytest.approx(1.5, abs=0.01)


async def test_a_load_writes_down_what_it_took(engine: LocalEngine, tmp_path: Path) -> None:
    path = str(tiny_llama(tmp_path))
    await engine.load(path)
    await engine.unload(path)
    written = json.loads((tmp_path / "home" / "state" / "calibration.json").read_text())
    (line,) = written.values()
    assert line["record"]["allocated"] == pytest.approx(1.0, abs=0.02)
    assert 0.5 < line["record"]["resident"] < 2.0
    again = await engine.estimate(path)
    assert again.correction == pytest.approx(1.0, abs=0.02)


# --- notes


class Note(Struct, frozen=True):
    number: int


def test_notes_come_back_and_the_oldest_go_first(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "state" / "notes.json", Note, most=3)
    assert notes.get("a") is None
    for number, key in enumerate("abcd"):
        notes.put(key, Note(number))
    again = Notes(tmp_path / "state" / "notes.json", Note)
    assert [again.get(key) for key in "abcd"] == [None, Note(1), Note(2), Note(3)]
    notes.put("b", Note(9))
    assert again.get("b") == Note(9), "what another writes is seen"
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"notes.json", "notes.json.lock"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b'{"a": 1}', b'{"a": {"at": 1, "record": {"number": "x"}}}', b"\xff" * 99, b"{}" * 9],
)
def test_damaged_notes_count_as_none_and_are_written_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.json"
    path.write_bytes(content)
    notes = Notes(path, Note)
    assert notes.get("a") is None
    notes.put("b", Note(1))
    assert Notes(path, Note).get("b") == Note(1)


def test_where_nothing_can_be_written_a_process_remembers_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    notes = Notes(tmp_path / "file" / "notes.json", Note)
    notes.put("a", Note(1))
    assert notes.get("a") == Note(1)


WRITER = """
import sys
from pathlib import Path
from msgspec import Struct
from engine.store.notes import Notes
class Note(Struct, frozen=True):
    number: int
notes = Notes(Path(sys.argv[1]), Note)
for number in range(40):
    notes.put(f"{sys.argv[2]}-{number}", Note(number))
"""


def test_several_processes_write_at_once_and_nothing_is_lost(tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "notes.json"
    others = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=repository) for name in "xy"
    ]
    notes = Notes(path, Note)
    threads = [
        threading.Thread(target=lambda name=name: [notes.put(f"{name}-{n}", Note(n)) for n in range(40)])
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait() for other in others] == [0, 0]
    found = Notes(path, Note)
    assert [found.get(f"{name}-{n}") for name in "abxy" for n in range(40)] == [
        Note(n) for _ in "abxy" for n in range(40)
    ]

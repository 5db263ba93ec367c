"""Who samples when: at once for the first who asks, by itself while somebody looks, seldom else; and what is kept."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest

from engine.errors import HearthError, InternalError
from engine.hardware import watch as watching
from engine.hardware.points import joined
from engine.hardware.watch import Watch
from engine.types.hardware import CpuReading, Hardware, HardwarePoint

LONG = 1000.0


class Counting:
    """A machine whose reading says the how-manyth it is."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.rested = self.closed = 0
        self.looked = threading.Semaphore(0)
        self.fail = False

    def read(self) -> Hardware:
        number = next(self.numbers)
        self.looked.release()
        if self.fail:
            self.fail = False
            raise RuntimeError("no sensors")
        return Hardware(t_unix=float(number), cpu=CpuReading(cores=(number / 1000,)))

    def rest(self) -> None:
        self.rested += 1
        self.looked.release()

    def close(self) -> None:
        self.closed += 1


Make = Callable[..., Watch]


@pytest.fixture
def machine() -> Counting:
    return Counting()


@pytest.fixture
def make(machine: Counting) -> Iterator[Make]:
    made: list[Watch] = []

    def watch(**options: object) -> Watch:
        made.append(Watch(machine, **options))  # type: ignore[arg-type]
        return made[-1]

    yield watch
    for each in made:
        each.close()


def test_who_asks_together_gets_the_same_reading(make: Make) -> None:
    watch = make(fine=LONG)
    answers = [watch.now() for _ in range(5)]
    wait(answers)
    assert {answer.result().t_unix for answer in answers} == {0.0}
    assert watch.now().result().t_unix == 0.0, "one of a moment ago is as good"


def test_while_somebody_looks_it_samples_by_itself(make: Make, machine: Counting) -> None:
    watch = make(fine=0.001)
    watch.now().result()
    for _ in range(20):
        assert machine.looked.acquire(timeout=60)


def test_when_nobody_looks_it_rests_and_keeps_coarse_points(
    make: Make, machine: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ATTENTION_S", 0.01)
    kept: list[HardwarePoint] = []
    third = threading.Event()

    def keep(point: HardwarePoint) -> None:
        kept.append(point)
        if len(kept) == 3:
            third.set()

    watch = make(keep=keep, fine=LONG, coarse=0.02)
    watch.now().result()
    assert third.wait(60)
    assert machine.rested == 1, "once, until somebody looks again"
    assert all(point.cpu == point.t_unix / 1000 for point in kept)


def test_nothing_is_read_before_somebody_asks(make: Make, machine: Counting) -> None:
    watch = make()
    watch.start()
    watch.start()
    assert not machine.looked.acquire(timeout=0.05)
    assert watch.points(10**9) == []


def test_points_of_the_last_seconds(make: Make) -> None:
    watch = make(fine=LONG)
    watch.now().result()
    assert [point.t_unix for point in watch.points(10**10)] == [0.0]
    assert watch.points(60) == []


def test_what_goes_wrong_is_told_and_it_goes_on(make: Make, machine: Counting) -> None:
    watch = make(fine=0.001)
    machine.fail = True
    with pytest.raises(InternalError, match="cannot be read"):
        watch.now().result()
    assert watch.now().result().t_unix > 0


def test_after_the_end_nothing_is_answered(make: Make, machine: Counting) -> None:
    watch = make()
    watch.now().result()
    watch.close()
    watch.close()
    assert machine.closed == 1
    with pytest.raises(HearthError, match="closing"):
        watch.now().result()


def test_fine_points_take_the_place_of_stored_ones() -> None:
    def point(moment: float, cpu: float) -> HardwarePoint:
        return HardwarePoint(t_unix=moment, cpu=cpu)

    stored = [point(0, 0.1), point(30, 0.2), point(60, 0.3)]
    fine = [point(45, 0.5), point(46, 0.6)]
    assert [each.t_unix for each in joined(stored, fine)] == [0, 30, 45, 46]
    assert joined(stored, []) == stored and joined([], fine) == fine

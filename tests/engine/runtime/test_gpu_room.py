"""Room on GPUs, without one: real workers and decisions, a driver that is made up and as slow as real ones are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import InsufficientMemory
from engine.library.pools import MAIN
from engine.local import LocalEngine
from engine.runtime import estimates, room
from engine.runtime.estimates import Estimator, Figures
from engine.runtime.ticket import Target
from engine.types import Device, DeviceNeed, LoadOptions
from tests.engine.runtime.conftest import Open
from tests.engine.runtime.test_room import MB, answer, model, resident

LAYERS = 7


class Driver:
    """Two GPUs. Models whose text begins with `one` go to the first, others to the second.

    What a model held is told as free only `lag` looks after it has left.
    """

    def __init__(self, first: int, second: int, lag: int = 0) -> None:
        self.sizes = {"CUDA0": first * MB, "CUDA1": second * MB}
        self.lag = lag
        self.engine: LocalEngine
        self.looks = 0
        self._seen: dict[str, tuple[str, int, int]] = {}

    def devices(self) -> tuple[Device, ...]:
        self.looks += 1
        for each in self.engine.loaded():
            if each.state in ("ready", "busy") and each.estimate is not None:
                for need in each.estimate.devices:
                    if need.kind == "gpu":
                        self._seen[each.id] = (need.device, need.total, self.looks)
        taken = dict.fromkeys(self.sizes, 0)
        for device, size, look in self._seen.values():
            if self.looks - look <= self.lag:
                taken[device] += size
        gpus = (
            Device(name=name, kind="gpu", free=size - taken[name], total=size)
            for name, size in self.sizes.items()
        )
        return (Device(name="CPU", free=2**34, total=2**34), *gpus)

    def figures(self, target: Target, options: LoadOptions) -> Figures:
        """Those of the script, with the layers that `options` say on a GPU."""
        plain = estimates._scripted(target, options)
        text = target.id.rpartition("=")[2]
        name = "CUDA0" if text.startswith("one") else "CUDA1"
        share = 1.0 if options.gpu_layers is None else options.gpu_layers / (LAYERS + 1)
        on_gpu = int(plain.estimate.total * share)
        need = (
            DeviceNeed(device="CPU", weights=plain.estimate.total - on_gpu),
            DeviceNeed(device=name, kind="gpu", weights=on_gpu),
        )
        return replace(
            plain,
            layers=LAYERS,
            estimate=replace(plain.estimate, devices=need, resident=need[0].total),
            demand={MAIN: need[0].total, name: on_gpu},
            spare={name: int(plain.spare[MAIN] * share)},
        )


@pytest.fixture
def with_driver(open_engine: Open, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(driver: Driver) -> LocalEngine:
        async def figures(self: object, target: Target, options: LoadOptions, *_: Any, **__: Any) -> Figures:
            return driver.figures(target, options)

        async def devices(self: object) -> tuple[Device, ...]:
            return driver.devices()

        looking = room.Room.refresh

        async def refresh(self: room.Room) -> None:
            if not self.devices:
                self.devices = driver.devices()
            await looking(self)

        monkeypatch.setattr(Estimator, "figures", figures)
        monkeypatch.setattr(Estimator, "devices", devices)
        monkeypatch.setattr(room.Room, "refresh", refresh)
        monkeypatch.setattr(room, "POLL", 0.005)
        driver.engine = open_engine()
        return driver.engine

    return make


async def test_each_gpu_is_a_pool_of_its_own(with_driver: Any) -> None:
    engine = with_driver(Driver(1000, 1000))
    await answer(engine, model("one", 700))
    await answer(engine, model("two", 700))
    assert resident(engine) == ["one", "two"]
    await answer(engine, model("one more", 700))
    assert resident(engine) == ["one more", "two"], "only who is on the same GPU makes way"


async def test_memory_of_a_driver_is_waited_for(with_driver: Any) -> None:
    driver = Driver(1000, 1000, lag=6)
    engine = with_driver(driver)
    await answer(engine, model("one", 700))
    looks = driver.looks
    await answer(engine, model("one more", 700))
    assert driver.looks >= looks + 6
    assert resident(engine) == ["one more"]


async def test_memory_that_does_not_come_back_is_not_waited_for_for_ever(
    with_driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.1)
    engine = with_driver(Driver(1000, 1000, lag=10**9))
    await answer(engine, model("one", 700))
    with pytest.raises(InsufficientMemory, match="CUDA0"):
        await engine.load(model("one more", 700), LoadOptions(gpu_layers=8))
    assert any("still taken" in line.text for line in engine.logs())


async def test_as_many_layers_as_fit_go_to_the_gpu(with_driver: Any) -> None:
    engine = with_driver(Driver(500, 1000))
    await answer(engine, model("one", 800))
    (loaded,) = engine.loaded()
    assert loaded.estimate is not None
    assert {each.device: each.total // MB for each in loaded.estimate.devices} == {"CPU": 400, "CUDA0": 400}
    with pytest.raises(InsufficientMemory, match="CUDA0") as raised:
        await engine.load(model("one", 800), LoadOptions(gpu_layers=8))
    assert "fewer `gpu_layers`" in raised.value.fix.lower()


async def test_a_smaller_window_comes_before_fewer_layers(with_driver: Any) -> None:
    engine = with_driver(Driver(600, 1000))
    await answer(engine, model("one", 300, 700))
    (loaded,) = engine.loaded()
    assert loaded.estimate is not None and loaded.estimate.context == 2048
    assert [each.total for each in loaded.estimate.devices if each.kind == "cpu"] == [0]


async def test_loads_onto_different_devices_run_side_by_side(with_driver: Any) -> None:
    engine = with_driver(Driver(1000, 1000))
    names = [model(name, 100, load_ms=400) for name in ("one", "two", "two more")]
    loads = [asyncio.ensure_future(engine.load(name)) for name in names]
    together: set[tuple[str, ...]] = set()
    while not all(load.done() for load in loads):
        at_work = [each.id for each in engine.loaded() if each.state == "loading" and each.pid is not None]
        together.add(tuple(sorted(name.rpartition("=")[2] for name in at_work)))
        await asyncio.sleep(0.005)
    assert any("one" in each and len(each) == 2 for each in together)
    assert not any({"two", "two more"} <= set(each) for each in together), (
        "onto one device one after the other"
    )

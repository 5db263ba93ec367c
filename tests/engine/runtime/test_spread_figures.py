"""What the engine plans for a model folder on a machine with several GPUs, by figures of drivers; none is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.library.model_folder import read_folder
from engine.library.pools import MAIN, missing
from engine.paths import resolve
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.hf.spread import plan_of
from engine.runtime.estimates import Estimator, Figures
from engine.runtime.fitting import smaller
from engine.runtime.logring import LogRing
from engine.runtime.residency import Plan
from engine.runtime.targets import Targets
from engine.settings import Runtime, Settings
from engine.types import Device, LoadOptions
from tests.weights.hf_folders import write_hf

MB = 2**20
CPU = Device(name="CPU", free=8192 * MB, total=8192 * MB)
SETTINGS = Settings(runtime=Runtime(probe=False))
ASKED = LoadOptions(context=128, slots=1, batch=8)


def gpus(*free: int) -> tuple[Device, ...]:
    return tuple(
        Device(name=f"CUDA{number}", kind="gpu", free=each * MB, total=each * MB, backends=("transformers",))
        for number, each in enumerate(free)
    )


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 40 MB of weights in eight layers."""
    return write_hf(
        tmp_path_factory.mktemp("hf") / "wide",
        "llama",
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=8,
    )


async def figures(folder: Path, home: Path, devices: tuple[Device, ...], options: LoadOptions) -> Figures:
    paths = resolve({"HEARTH_HOME": str(home)})
    targets = Targets(SETTINGS, paths)
    estimator = Estimator(SETTINGS, paths, LogRing(), targets)
    found = await estimator.figures(targets.find(str(folder)), options, devices, screen_attached=False)
    assert found is not None
    return found


async def test_room_is_asked_of_every_gpu_that_it_takes(wide: Path, tmp_path: Path) -> None:
    alone = await figures(wide, tmp_path, (CPU, *gpus(500, 500)), ASKED)
    assert alone.placement is None and set(alone.demand) == {MAIN, "CUDA0"}
    both = await figures(wide, tmp_path, (CPU, *gpus(36, 36)), ASKED)
    assert both.placement is not None and set(both.placement.layers) == {"CUDA0", "CUDA1"}
    assert both.demand["CUDA0"] < 36 * MB and 0 < both.demand["CUDA1"] < 36 * MB
    assert sum(each.weights for each in both.estimate.devices) == alone.estimate.devices[0].weights
    assert both.demand[MAIN] == alone.demand[MAIN], "the process alone"


async def test_what_gpus_have_no_room_for_lies_in_main_memory(wide: Path, tmp_path: Path) -> None:
    devices = (CPU, *gpus(36))
    whole = await figures(wide, tmp_path, devices, ASKED)
    free = {"CUDA0": 36 * MB, MAIN: 8192 * MB}
    short = missing(whole.demand, free)
    assert set(short) == {"CUDA0"} and whole.layers == 8

    async def measure(options: LoadOptions) -> Figures:
        return await figures(wide, tmp_path, devices, options)

    plan = Plan(short=short, free=free, would_be_free=free)
    less = await smaller(whole, plan, ASKED, SETTINGS.runtime, measure)
    assert less is not None and less.placement is not None and less.placement.main == "CUDA0"
    kept = less.placement.layers.count("CPU")
    assert 0 < kept < 8 and less.options.gpu_layers == 8 - kept
    assert not missing(less.demand, free) and less.demand[MAIN] > whole.demand[MAIN]


async def test_a_number_of_layers_that_was_asked_for_is_left(wide: Path, tmp_path: Path) -> None:
    found = await figures(wide, tmp_path, (CPU, *gpus(500)), replace(ASKED, gpu_layers=3))
    assert found.placement is not None and found.placement.layers == ("CUDA0",) * 3 + ("CPU",) * 5
    quantised = await figures(wide, tmp_path, (CPU, *gpus(500)), replace(ASKED, load_in_4bit=True))
    assert quantised.layers == 0, "it is on the GPU as a whole, or not at all"


async def test_a_worker_goes_by_what_was_planned(wide: Path, tmp_path: Path) -> None:
    """Its own context, and a model that it has loaded before a draft, leave less than there was for the plan."""
    later = (*gpus(2, 500), CPU)
    folder = read_folder(wide)
    for machine in ((CPU, *gpus(500, 500)), (CPU,)):
        made = await figures(wide, tmp_path, machine, ASKED)
        assert made.placement is None
        spec = LoadSpec(
            model="m", path=str(wide), options=made.options, placement=made.placement, planned=made.planned
        )
        plan = plan_of(spec, folder, later)
        # GPUs that nobody but the library knows of are its own affair.
        assert (plan is None) == (len(machine) > 1)

"""Predictions against the allocator's own figures: a dry run, and the rule of thumb that stands in for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.errors import HearthError, ModelLoadFailed
from engine.library import read_header
from engine.library.dimensions import dimensions_of
from engine.library.fit import matrices, needs
from engine.library.shape import DryRun, context_shape
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama.buffers import allocated, device_of, dry_run, rearranges
from engine.runtime.backends.llama.dryrun import simulated
from engine.runtime.backends.llama.library import devices
from engine.types import Device, DeviceNeed, LoadOptions, MemoryUse
from tests.engine.llama.driving import opened
from tests.weights import (
    Llama,
    tiny_bert,
    tiny_cross_encoder,
    tiny_embedder,
    tiny_gemma,
    tiny_hybrid,
    tiny_llama,
    tiny_mamba,
    write_llama,
)


def wide_llama(folder: Path) -> Path:
    """A head of 32 elements, so that its KV cache can be quantised, and a vocabulary of some size."""
    return write_llama(
        folder / "wide.gguf",
        Llama(vocabulary=4000, width=256, heads=8, kv_heads=4, feed_forward=512, layers=3, kind="Q8_0"),
    )


WRITERS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_llama,
    "wide": wide_llama,
    "gemma": tiny_gemma,
    "mamba": tiny_mamba,
    "hybrid": tiny_hybrid,
    "bert": tiny_bert,
    "embedder": tiny_embedder,
    "cross_encoder": tiny_cross_encoder,
}
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"context": 100, "slots": 1},
    {"context": 256, "slots": 16},
    {"cells": 700, "slots": 3, "batch": 64},
    {"kv_type": "q8_0", "flash_attention": True},
    {"flash_attention": False},
    {"whole_window": False, "slots": 2},
    {"use_mmap": False},
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: write(folder) for name, write in WRITERS.items()}


def predicted(path: Path, options: LoadOptions, found: DryRun | None) -> DeviceNeed:
    header = read_header(path)
    dimensions = dimensions_of(header)
    (cpu,) = needs(
        [header],
        dimensions,
        context_shape(options, dimensions.context),
        devices(),
        kv_type=options.kv_type,
        flash_attention=options.flash_attention,
        mapped=options.use_mmap is not False,
        dry_run=found,
    )
    return cpu


def tried(path: Path, options: LoadOptions) -> DryRun:
    spec = LoadSpec(model=path.stem, path=str(path), options=options)
    with simulated(spec, matrices([read_header(path)])) as found:
        return found.dry_run


def measured(path: Path, **options: Any) -> MemoryUse:
    model = opened(path, **options)
    try:
        return model.memory()
    finally:
        model.close()


# Heads of 16 elements do not divide into the blocks of 32 that a quantised cache is made of.
CASES = [(name, way) for name in WRITERS for way in WAYS if "kv_type" not in way or name in ("wide", "mamba")]


@pytest.mark.parametrize(("name", "way"), CASES, ids=str)
def test_predictions_are_within_five_percent_of_the_allocator(
    models: dict[str, Path], name: str, way: dict[str, Any]
) -> None:
    path, options = models[name], LoadOptions(**way)
    found = predicted(path, options, tried(path, options))
    real = measured(path, **way)
    for part in ("weights", "kv_cache", "compute"):
        # The log lines have two digits behind the point of a mebibyte, for each of several buffers.
        assert getattr(found, part) == pytest.approx(getattr(real, part), rel=0.05, abs=25_000), part
    assert found.total == pytest.approx(real.weights + real.kv_cache + real.compute, rel=0.05)


@pytest.mark.parametrize("name", WRITERS)
def test_the_rule_of_thumb_is_near_the_dry_run(models: dict[str, Path], name: str) -> None:
    for way in ({}, {"slots": 16}, {"flash_attention": False}, {"whole_window": False}):
        options = LoadOptions(**way)
        ruled = predicted(models[name], options, None)
        exact = predicted(models[name], options, tried(models[name], options))
        assert ruled.kv_cache == pytest.approx(exact.kv_cache, rel=0.07, abs=20_000), way
        assert 0.75 < ruled.total / exact.total < 1.35, way


def test_matrices_that_are_rearranged_are_counted(shared_data: Path) -> None:
    path = shared_data / "models" / "stories260K-Q4_0.gguf"
    for way in ({}, {"use_mmap": False}):
        options = LoadOptions(**way)
        found = predicted(path, options, tried(path, options))
        assert found.weights == pytest.approx(measured(path, **way).weights, rel=0.05), way


def test_a_dry_run_takes_no_memory_to_speak_of(tmp_path: Path) -> None:
    path = write_llama(tmp_path / "long.gguf", Llama(context=1 << 20))
    before = psutil.Process().memory_info().rss
    found = tried(path, LoadOptions(context=1 << 20, slots=8))
    assert found.kv_cache["CPU"] == 1 << 31 and found.compute["CPU"] > 1 << 33
    assert psutil.Process().memory_info().rss - before < 1 << 30


def test_a_dry_run_refuses_what_the_load_would_refuse(models: dict[str, Path]) -> None:
    for path, options in ((models["llama"], LoadOptions(kv_type="q8_0")),):
        with pytest.raises(ModelLoadFailed) as dry:
            tried(path, options)
        with pytest.raises(HearthError) as real:
            opened(path, kv_type=options.kv_type)
        assert (dry.value.what, dry.value.why) == (real.value.what, real.value.why)


# --- the log of machines with other devices than this one

DEVICES = (
    Device(name="CPU"),
    Device(name="CUDA0", kind="gpu"),
    Device(name="CUDA1", kind="gpu"),
    Device(name="CUDA10", kind="gpu"),
)


def test_buffers_belong_to_devices() -> None:
    for buffer, device in (
        ("CPU", "CPU"),
        ("CPU_Mapped", "CPU"),
        ("CPU_REPACK", "CPU"),
        ("CUDA_Host", "CPU"),
        ("CUDA1", "CUDA1"),
        ("CUDA10", "CUDA10"),
        ("CUDA1_Split", "CUDA1"),
    ):
        assert device_of(buffer, DEVICES) == device


REAL_LOG = """\
load_tensors:   CPU_Mapped model buffer size =   100.00 MiB
load_tensors:   CPU_REPACK model buffer size =    50.00 MiB
load_tensors:        CUDA0 model buffer size =   300.00 MiB
llama_context:  CUDA_Host  output buffer size =     1.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    64.00 MiB
llama_kv_cache:        CPU KV buffer size =    16.00 MiB
llama_kv_cache: size =   80.00 MiB (  4096 cells,  10 layers,  4/1 seqs), K (f16):   40.00 MiB, V (f16):   40.00 MiB
sched_reserve:      CUDA0 compute buffer size =    20.00 MiB
sched_reserve:  CUDA_Host compute buffer size =     4.00 MiB
""".splitlines()
DRY_LOG = """\
load_tensors: layer   0 assigned to device CPU, is_swa = 0
load_tensors: layer   1 assigned to device CUDA0, is_swa = 1
load_tensors: layer   2 assigned to device CUDA0, is_swa = 0
load_tensors:          CPU model buffer size =     0.00 MiB
load_tensors:   CPU_REPACK model buffer size =     0.00 MiB
llama_kv_cache: layer   0: dev = CPU
llama_kv_cache: layer   2: dev = CUDA0
llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB
llama_kv_cache: size =   40.00 MiB (  4096 cells,   2 layers,  4/1 seqs), K (f16):   20.00 MiB, V (f16):   20.00 MiB
llama_kv_cache: layer   1: dev = CUDA0
llama_kv_cache: size =   10.00 MiB (  1024 cells,   1 layers,  4/1 seqs), K (f16):    5.00 MiB, V (f16):    5.00 MiB
llama_memory_recurrent:      CUDA0 RS buffer size =     2.00 MiB
sched_reserve:      CUDA0 compute buffer size =    20.00 MiB
llama_context:  CUDA_Host  output buffer size =     1.00 MiB
""".splitlines()


def test_a_real_log_is_read_by_device() -> None:
    mib = 2**20
    assert allocated(REAL_LOG, DEVICES) == (
        DeviceNeed(device="CPU", weights=150 * mib, kv_cache=16 * mib, compute=5 * mib),
        DeviceNeed(device="CUDA0", kind="gpu", weights=300 * mib, kv_cache=64 * mib, compute=20 * mib),
    )
    assert rearranges(REAL_LOG)
    assert not rearranges(REAL_LOG[2:])


def test_a_dry_log_is_read_by_device_though_its_buffers_say_nothing() -> None:
    mib = 2**20
    assert dry_run(DRY_LOG, DEVICES) == DryRun(
        kv_cache={"CPU": 20 * mib, "CUDA0": 32 * mib},
        compute={"CUDA0": 20 * mib, "CPU": mib},
        layers=("CPU", "CUDA0", "CUDA0"),
    )

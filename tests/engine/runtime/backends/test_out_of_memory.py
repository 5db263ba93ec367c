"""Every library's way to say that memory ran out is understood, and told with figures."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InsufficientMemory
from engine.runtime.backends.base import Row
from engine.runtime.backends.out_of_memory import is_out_of_memory, out_of_memory
from tests.engine.hf.driving import generate, insert, prefill
from tests.engine.hf.driving import opened as hf
from tests.engine.mlx.test_passes import opened as mlx
from tests.weights.hf_folders import write_hf

MESSAGES = {
    "torch": (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)",
        "4194304 GiB more were needed",
        "of main memory are free",
    ),
    "cuda": (
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.19 GiB of which 1.06 GiB "
        "is free. Including non-PyTorch memory, this process has 78.12 GiB memory in use.",
        "2.0 GiB more were needed",
        "1.1 GiB of CUDA1 are free",
    ),
    "mps": (
        "MPS backend out of memory (MPS allocated: 17.12 GiB, other allocations: 384.00 KiB, max allowed: 18.13 "
        "GiB). Tried to allocate 1.50 GiB on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable "
        "upper limit for memory allocations (may cause system failure).",
        "1.5 GiB more were needed",
        "1.0 GiB of what PyTorch may take on MPS are free",
    ),
    "mps of PyTorch 2.2": (
        "MPS backend out of memory (MPS allocated: 17.12 GB, other allocations: 384.00 KB, max allowed: 18.13 GB). "
        "Tried to allocate 1.50 GB on private pool.",
        "1.5 GiB more were needed",
        "1.0 GiB of what PyTorch may take on MPS are free",
    ),
    "cublas": (
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "of main memory are free",
    ),
    "mlx": ("[malloc] Unable to allocate 4294967296 bytes.", "4.0 GiB more were needed", "of main memory"),
    "metal": (
        "[metal::malloc] Attempting to allocate 30923764531 bytes which is greater than the maximum allowed buffer "
        "size of 19327352832 bytes.",
        "29 GiB more were needed",
        "of main memory",
    ),
    "metal late": (
        "[METAL] Command buffer execution failed: Insufficient Memory "
        "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "Insufficient Memory",
        "of main memory",
    ),
    "llama": (
        "insufficient memory (attempted to allocate 800.00 MB); failed to allocate buffer of size 838860800.",
        "800 MiB more were needed",
        "of main memory",
    ),
    "llama cuda": (
        "allocating 1024.00 MiB on device 0: cudaMalloc failed: out of memory",
        "1.0 GiB more were needed",
        "of main memory",
    ),
}
"""What was said, and what people are told of it."""


@pytest.mark.parametrize("name", MESSAGES)
def test_it_is_understood_and_told_with_figures(name: str) -> None:
    text, wanted, free = MESSAGES[name]
    assert is_out_of_memory(RuntimeError(text))
    error = out_of_memory("a model", text, "Buy more.")
    assert wanted in error.why and free in error.why and error.fix == "Buy more."
    assert error.code == "insufficient_memory"


def test_the_real_libraries_say_so() -> None:
    import numpy as np
    import torch

    for allocate in (lambda: torch.empty(1 << 50), lambda: np.zeros(1 << 58), lambda: bytearray(1 << 60)):
        with pytest.raises((RuntimeError, MemoryError)) as raised:
            allocate()
        assert is_out_of_memory(raised.value)
        assert "of main memory are free" in out_of_memory("m", str(raised.value), "").why.lower()
    assert psutil.virtual_memory().available > 0


def without_torch_memory() -> None:
    import torch

    torch.empty(1 << 50)


def without_mlx_memory() -> None:
    # What its allocator says where the system tells it; where Linux only promised, the process is ended.
    raise RuntimeError("[malloc] Unable to allocate 4294967296 bytes.")


@pytest.mark.parametrize("backend", ["transformers", "mlx"])
def test_a_step_without_memory_changes_nothing(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = without_torch_memory if backend == "transformers" else without_mlx_memory
    made = (hf if backend == "transformers" else mlx)(write_hf(tmp_path / "llama", "llama"))
    text = [*b"All happy families are alike"]
    expected = generate(made, text, 8)
    insert(made, text)
    insert(made, text[:9], slot=1)
    found = [prefill(made, 0, len(text)), made.step([Row(0, 1)]).sampled[0].token]
    prefill(made, 1, 9)
    model = made._library._model  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(made._library, "_model", lambda *_, **__: fails())
        with pytest.raises(InsufficientMemory, match=r"[48]\S* GiB more were needed"):
            made.step([Row(0, 1), Row(1, 1)])
    assert made._library._model is model  # type: ignore[attr-defined]
    while len(found) < 8:
        found.append(made.step([Row(0, 1), Row(1, 1)]).sampled[0].token)
    assert found == expected
    made.close()


def test_other_errors_are_not_taken_for_it() -> None:
    for text in ("Expected 4 dimensions, got 3", "CUDA error: device-side assert triggered", ""):
        assert not is_out_of_memory(RuntimeError(text))


@given(text=st.text())
def test_any_text_is_told(text: str) -> None:
    assert out_of_memory("m", text, "").why

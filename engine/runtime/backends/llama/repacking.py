"""Which weights llama.cpp holds a second time, rearranged for this processor.

The CPU backend has extra buffer types (CPU_REPACK) into which it copies quantised matrices in an order that its
kernels like better. Where the file is mapped, the mapped copy stays too. Whether a matrix is taken depends on its
type, its shape and the processor; a dry run does not say how many bytes it comes to. So the library is asked as its own
loader asks (`weight_buft_supported` in llama-model-loader.cpp): would the CPU run a multiplication with this matrix
in that buffer type? For throw-away processes: a field of `struct ggml_tensor` is set by its offset.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from engine.library.ggml import BLOCKS
from engine.library.shape import Matrix
from engine.runtime.backends.llama.library import native

_NUMBERS: Final = {name: number for number, (name, _, _) in BLOCKS.items()}
# struct ggml_tensor of ggml.h: type, then buffer, then ne[4].
_BUFFER_AT: Final = 8
_SIZES_AT: Final = 16
_BATCH: Final = 512


class _InitParams(ctypes.Structure):
    """`struct ggml_init_params`."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def rearranged(matrices: Iterable[Matrix]) -> tuple[Matrix, ...]:
    """Those of `matrices` that the CPU would hold in an extra buffer type."""
    return tuple(
        matrix
        for matrix in matrices
        if 2 <= len(matrix.shape) <= 3 and matrix.type in _NUMBERS and _is_taken(matrix)
    )


def _is_taken(matrix: Matrix) -> bool:
    shape = matrix.shape
    lib = _declared()
    cpu = next(
        handle
        for handle in map(lib.ggml_backend_dev_get, range(lib.ggml_backend_dev_count()))
        if lib.ggml_backend_dev_type(handle) == 0
    )
    context = lib.ggml_init(_InitParams(1 << 20, None, True))
    try:
        for buffer_type in _extra_buffer_types(lib, cpu):
            weights = (lib.ggml_new_tensor_2d if len(shape) == 2 else lib.ggml_new_tensor_3d)(
                context, _NUMBERS[matrix.type], *shape
            )
            if ctypes.c_int64.from_address(weights + _SIZES_AT).value != shape[0]:
                return False
            buffer = lib.ggml_backend_buft_alloc_buffer(buffer_type, 0)
            try:
                ctypes.c_void_p.from_address(weights + _BUFFER_AT).value = buffer
                if lib.ggml_backend_dev_supports_op(cpu, _product(lib, context, weights, shape)):
                    return True
            finally:
                lib.ggml_backend_buffer_free(buffer)
        return False
    finally:
        lib.ggml_free(context)


def _product(lib: Any, context: int, weights: int, shape: tuple[int, ...]) -> int:
    """The operation that uses the matrix: plain, or picked by expert where there is a third dimension."""
    f32, i32 = _NUMBERS["F32"], _NUMBERS["I32"]
    if len(shape) == 2:
        rows = lib.ggml_new_tensor_2d(context, f32, shape[0], _BATCH)
        return int(lib.ggml_mul_mat(context, weights, rows))
    rows = lib.ggml_new_tensor_3d(context, f32, shape[0], 1, _BATCH)
    chosen = lib.ggml_new_tensor_2d(context, i32, 1, _BATCH)
    return int(lib.ggml_mul_mat_id(context, weights, rows, chosen))


def _extra_buffer_types(lib: Any, device: int) -> list[int]:
    register = lib.ggml_backend_dev_backend_reg(device)
    address = lib.ggml_backend_reg_get_proc_address(register, b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return []
    ask = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)
    listed = ask(device)
    found: list[int] = []
    while listed and listed[len(found)]:
        found.append(listed[len(found)])
    return found


@cache
def _declared() -> Any:
    lib = native()._lib
    pointer, number, name, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_size_t
    for function_name, arguments, result in (
        ("ggml_init", [_InitParams], pointer),
        ("ggml_free", [pointer], None),
        ("ggml_new_tensor_2d", [pointer, ctypes.c_int, number, number], pointer),
        ("ggml_new_tensor_3d", [pointer, ctypes.c_int, number, number, number], pointer),
        ("ggml_mul_mat", [pointer, pointer, pointer], pointer),
        ("ggml_mul_mat_id", [pointer, pointer, pointer, pointer], pointer),
        ("ggml_backend_buft_alloc_buffer", [pointer, size], pointer),
        ("ggml_backend_buffer_free", [pointer], None),
        ("ggml_backend_dev_supports_op", [pointer, pointer], ctypes.c_bool),
        ("ggml_backend_dev_backend_reg", [pointer], pointer),
        ("ggml_backend_reg_get_proc_address", [pointer, name], pointer),
    ):
        function = getattr(lib, function_name)
        function.argtypes, function.restype = arguments, result
    return lib

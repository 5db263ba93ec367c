"""The native library: its import, its log and the devices it sees. Nothing here knows a model.

Only the ctypes module of llama-cpp-python is imported, under an empty package: the package's own `__init__`
pulls in the high-level `Llama` class (three times the import time) and a log callback that prints to stderr.
`LLAMA_CPP_LIB_PATH` names another folder with a libllama of the same ABI; the ctypes module honours it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Literal

from engine.errors import ModelLoadFailed
from engine.types import Device
from engine.types.models import DeviceKind

Level = Literal["debug", "info", "warning", "error"]
LogSink = Callable[[Level, str], None]

# ggml_log_level of ggml.h; 5 goes on with the line before it.
_LEVELS: Final[dict[int, Level]] = {1: "debug", 2: "info", 3: "warning", 4: "error"}
_CONTINUES: Final = 5
# Warns of a window beyond the trained one, taking the buffer that all slots share for the window of one.
_MISLEADING: Final = "possible training context overflow"
_DEBUG: Final = 1
_DEVICE_KINDS: Final[tuple[DeviceKind, ...]] = ("cpu", "gpu", "igpu", "accelerator")
_FIX: Final = (
    "Reinstall the pinned llama-cpp-python (make setup), or point LLAMA_CPP_LIB_PATH at a folder with a "
    "libllama of the same version."
)


class _Log:
    """Joins the pieces that the library logs to lines, keeps the last ones and hands them to a sink."""

    def __init__(self) -> None:
        self.ring: deque[tuple[Level, str]] = deque(maxlen=400)
        self.sink: LogSink | None = None
        self.debug: Callable[[str], None] | None = None
        """Takes the debug lines, which are otherwise dropped."""
        self._partial = ""
        self._level = 2
        self._lock = threading.Lock()

    def receive(self, level: int, text: bytes | None, _: object) -> None:
        """The C callback. A reserve logs hundreds of debug lines, so those are dropped before any work."""
        if level == _DEBUG or (level == _CONTINUES and self._level == _DEBUG):
            self._level = _DEBUG
            if self.debug is not None:
                self.debug((text or b"").decode("utf-8", "replace").rstrip())
            return
        # An exception must not reach ctypes, which would print it on stderr.
        with contextlib.suppress(Exception), self._lock:
            if level != _CONTINUES:
                self._flush()
                self._level = level
            *lines, self._partial = (self._partial + (text or b"").decode("utf-8", "replace")).split("\n")
            for line in lines:
                self._emit(line)

    def _flush(self) -> None:
        line, self._partial = self._partial, ""
        self._emit(line)

    def _emit(self, line: str) -> None:
        if not line.strip() or _MISLEADING in line:
            return
        entry = (_LEVELS.get(self._level, "info"), line.rstrip())
        self.ring.append(entry)
        if self.sink is not None:
            self.sink(*entry)


_log = _Log()


def set_log_sink(sink: LogSink | None) -> None:
    """Send every further log line (level, text without newline) of the library to `sink`; None: ring only.

    The sink is called on the thread that logs, often in the middle of a native call: it must be quick and
    must not call the library. What it raises is dropped.
    """
    _log.sink = sink


def log_callback() -> Any:
    """The callback that takes the log of the library, for parts of it that have a log of their own."""
    native()
    return _keep[0]


class LogCapture:
    """The lines logged inside a `with` block, for reasons and allocator figures; the sink gets them too.

    `debug` keeps debug lines as well, which tell the device of each layer; the sink does not get those.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self._lines: list[tuple[Level, str]] = []

    def __enter__(self) -> LogCapture:
        self._outer, _log.sink = _log.sink, self._receive
        self._outer_debug = _log.debug
        if self._debug:
            _log.debug = lambda text: self._lines.append(("debug", text))
        return self

    def __exit__(self, *_: object) -> None:
        _log.sink, _log.debug = self._outer, self._outer_debug

    def _receive(self, level: Level, text: str) -> None:
        self._lines.append((level, text))
        if self._outer is not None:
            self._outer(level, text)

    @property
    def lines(self) -> list[str]:
        return [text for _, text in self._lines]

    def reason(self) -> str:
        """What the library said went wrong inside the block, as one sentence."""
        return _explain(self._lines)


def last_reason() -> str:
    """What the library last complained of, as one sentence."""
    return _explain(list(_log.ring)[-20:])


def _explain(lines: list[tuple[Level, str]]) -> str:
    causes = [text for level, text in lines if level == "error"]
    causes = causes or [text for level, text in lines if level == "warning"]
    # Lines read "function: text", and the innermost cause is logged first.
    texts = [line.split(": ", 1)[-1].strip().rstrip(".") for line in causes[:2]]
    return "; ".join(dict.fromkeys(texts)) + "." if texts else "llama.cpp gave no reason."


@cache
def native() -> Any:
    """The ctypes module, checked, initialised and silent. Raises ModelLoadFailed saying what is missing."""
    try:
        api = _import_low_level()
    except ModuleNotFoundError as error:
        raise ModelLoadFailed("GGUF models need llama-cpp-python.", f"{error}.", _FIX) from error
    except AttributeError as error:
        raise ModelLoadFailed(
            "The llama.cpp library does not fit llama-cpp-python.", f"A function is missing: {error}.", _FIX
        ) from error
    except (OSError, RuntimeError) as error:
        raise ModelLoadFailed("The llama.cpp library cannot be loaded.", f"{error}.", _FIX) from error
    _keep.append(api.llama_log_callback(_log.receive))
    api.llama_log_set(_keep[-1], None)
    context, model = api.llama_context_default_params(), api.llama_model_default_params()
    # Structures go by value: were a field added or moved, these defaults would land elsewhere.
    if (context.n_batch, context.n_ubatch, context.yarn_orig_ctx, model.vocab_only) != (2048, 512, 0, False):
        raise ModelLoadFailed(
            "The llama.cpp library does not fit llama-cpp-python.",
            "Its default parameters read as noise.",
            _FIX,
        )
    api.llama_backend_init()
    _declare_devices(api._lib)
    if api._lib.ggml_backend_dev_count() == 0:
        api._lib.ggml_backend_load_all()
    return api


# Objects that C holds pointers to for the life of the process.
_keep: list[object] = []


def _import_low_level() -> types.ModuleType:
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("there is no package llama_cpp")
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = importlib.machinery.ModuleSpec("llama_cpp", None, is_package=True)
        package.__spec__.submodule_search_locations = package.__path__
        sys.modules["llama_cpp"] = package
    return importlib.import_module("llama_cpp.llama_cpp")


def _declare_devices(lib: ctypes.CDLL) -> None:
    pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
    for name, arguments, result in (
        ("ggml_backend_dev_count", [], ctypes.c_size_t),
        ("ggml_backend_dev_get", [ctypes.c_size_t], pointer),
        ("ggml_backend_dev_name", [pointer], ctypes.c_char_p),
        ("ggml_backend_dev_description", [pointer], ctypes.c_char_p),
        ("ggml_backend_dev_type", [pointer], ctypes.c_int),
        ("ggml_backend_dev_memory", [pointer, size, size], None),
        ("ggml_backend_load_all", [], None),
    ):
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, result


def devices() -> list[Device]:
    """Every device of this build, the CPU included, with the memory that its driver reports."""
    lib = native()._lib
    found = []
    for index in range(lib.ggml_backend_dev_count()):
        handle = lib.ggml_backend_dev_get(index)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        lib.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
        kind = lib.ggml_backend_dev_type(handle)
        found.append(
            Device(
                name=lib.ggml_backend_dev_name(handle).decode(),
                description=lib.ggml_backend_dev_description(handle).decode("utf-8", "replace"),
                kind=_DEVICE_KINDS[kind] if kind < len(_DEVICE_KINDS) else "other",
                free=free.value,
                total=total.value,
            )
        )
    return found


def only(wanted: Sequence[Device]) -> int:
    """The address of a list of devices, as a load takes it, that holds those `wanted` alone; it is there for ever."""
    lib = native()._lib
    handles = [lib.ggml_backend_dev_get(index) for index in range(lib.ggml_backend_dev_count())]
    by_name = {lib.ggml_backend_dev_name(each).decode(): each for each in handles}
    # Ended by a null pointer.
    held = (ctypes.c_void_p * (len(wanted) + 1))(*(by_name[device.name] for device in wanted), None)
    _keep.append(held)
    return ctypes.addressof(held)


def shares(parts: Sequence[float]) -> Any:
    """What a load takes to tell how much of the layers each GPU gets, as long as the library reads it."""
    held = (ctypes.c_float * native().LLAMA_MAX_DEVICES)(*parts)
    _keep.append(held)
    return ctypes.cast(held, ctypes.POINTER(ctypes.c_float))


def system_info() -> str:
    """Library version and the instruction sets and back ends that it was built with, one line."""
    api = native()
    return f"llama.cpp {api.llama_version().decode()}: {api.llama_print_system_info().decode().strip(' |')}"


def build() -> str:
    """Which build of the library this is: what it saved, another one may not read."""
    api = native()
    facts = os.stat(api._lib._name)
    return f"{api.llama_version().decode()} {facts.st_size} {facts.st_mtime_ns}"


def cores() -> int:
    """Processor cores that this process may use: physical ones, and no more than its affinity allows."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))

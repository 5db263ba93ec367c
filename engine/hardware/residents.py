"""What the models in memory take and do: processes by psutil and the GPUs' drivers, tokens by the engine's count."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.types import LoadedModel
from engine.types.hardware import GpuReading, ModelReading

if TYPE_CHECKING:
    import psutil

PRESENT = frozenset({"loading", "ready", "busy", "shrunk", "draining"})
"""States in which a model has a process."""


class TokenCounts(Struct, frozen=True):
    """Tokens since the engine began."""

    decoded: int = 0
    prefilled: int = 0
    """Prompt tokens that were computed, not read from a cache."""


class Residents:
    """Keeps what was counted at the last look, for rates; for one thread."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._used: dict[int, float] = {}
        self._counts: Mapping[str, TokenCounts] = {}
        self._at = time.monotonic()

    def read(
        self, loaded: Sequence[LoadedModel], counts: Mapping[str, TokenCounts], gpus: Sequence[GpuReading]
    ) -> tuple[ModelReading, ...]:
        """The models of `loaded` that have a process."""
        now = time.monotonic()
        seconds, before = max(1e-3, now - self._at), self._counts
        # Copied: the engine goes on counting.
        self._at, self._counts = now, dict(counts)
        present = [model for model in loaded if model.state in PRESENT]
        self._forget({model.pid for model in present})
        return tuple(
            self._model(
                model,
                self._counts.get(model.id, TokenCounts()),
                before.get(model.id, TokenCounts()),
                gpus,
                seconds,
            )
            for model in present
        )

    def _model(
        self,
        model: LoadedModel,
        now: TokenCounts,
        then: TokenCounts,
        gpus: Sequence[GpuReading],
        seconds: float,
    ) -> ModelReading:
        resident, cpu = self._process(model.pid, seconds)
        leaves = None
        if model.expires_ns is not None and not model.pinned and not model.active:
            leaves = max(0.0, (model.expires_ns - time.monotonic_ns()) / 1e9)
        return ModelReading(
            model=model,
            resident=resident or model.memory.resident,
            gpu_memory=sum(gpu.processes.get(model.pid or 0, 0) for gpu in gpus),
            cpu=cpu,
            decode_rate=(now.decoded - then.decoded) / seconds,
            prefill_rate=(now.prefilled - then.prefilled) / seconds,
            leaves_s=leaves,
        )

    def _process(self, pid: int | None, seconds: float) -> tuple[int, float]:
        """Resident set now, and the cores that it kept busy since the last look."""
        import psutil

        if pid is None:
            return 0, 0.0
        try:
            process = self._processes.get(pid) or psutil.Process(pid)
            self._processes[pid] = process
            with process.oneshot():
                resident, times = int(process.memory_info().rss), process.cpu_times()
        except psutil.Error:
            return 0, 0.0
        used = times.user + times.system
        before, self._used[pid] = self._used.get(pid), used
        return resident, 0.0 if before is None else max(0.0, used - before) / seconds

    def _forget(self, present: set[int | None]) -> None:
        for pid in set(self._processes) - present:
            del self._processes[pid]
            self._used.pop(pid, None)

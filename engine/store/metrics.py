"""Records requests, what becomes of models and what the machine does, off the hot path: one thread writes it.

DuckDB is imported by that thread, and only once there is something to write or read; others read with cursors that it
gives them. Nothing of writing is raised into a caller: metrics may be late, spooled or lost, and `counts` says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import asdict

from engine.errors import DeadlineExceeded, StorageFailed
from engine.store.database import Database, Held, is_damage, set_aside
from engine.store.rows import SAMPLES, TABLES, RequestRow, Row
from engine.store.spool import Spool

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)
_T = TypeVar("_T")

QUEUE = 10_000
BATCH = 256
INTERVAL = 0.5
RETRY = 5.0
"""Seconds after which a file that somebody else held is tried again."""
KEPT, SAMPLES_KEPT = 90 * 86_400.0, 30 * 86_400.0
"""Seconds after which rows, and samples of the machine, are dropped where the settings say nothing."""
READ_S = 30.0
"""How long a reader has."""
PRUNED_EVERY = 86_400.0
REMEMBERED = 1000
"""Rows that a process without the file can still show of its own."""


class Metrics:
    """The metrics of one process: `path` is the DuckDB file, `spool` the folder for what cannot go there.

    `keep` gives the seconds after which rows and samples of the machine are dropped; 0 keeps them for ever.
    """

    def __init__(
        self,
        path: Path,
        spool: Path,
        *,
        keep: Callable[[], tuple[float, float]] = lambda: (KEPT, SAMPLES_KEPT),
    ) -> None:
        self._path, self._spool, self._keep = path, Spool(spool), keep
        self._rows: deque[Row] = deque()
        self._errands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._counts = {"recorded": 0, "written": 0, "spooled": 0, "imported": 0, "dropped": 0}
        # The writer's own.
        self._database: Database | None = None
        self._try_again = 0.0
        self._prune_at = float("-inf")
        self._unwritten: deque[Row] = deque(maxlen=REMEMBERED)

    def record(self, row: Row) -> None:
        """Take a row; returns at once, from any thread. A full or closed queue drops it, and counts that."""
        with self._wake:
            if self._closing or len(self._rows) >= QUEUE:
                self._counts["dropped"] += 1
                return
            self._rows.append(row)
            self._counts["recorded"] += 1
            self._start()
            if len(self._rows) in (1, BATCH):
                self._wake.notify()

    def recent(self, limit: int = 100, table: str = "requests") -> list[dict[str, Any]]:
        """The newest rows of `table` (requests, model_events), newest first, after writing what is pending.

        It waits, so it is not for an event loop. A process that could not have the file shows the rows of its own.
        Empty after `close`.
        """
        found: list[dict[str, Any]] | None = self._ask(lambda: self._recent(table, limit))
        return found or []

    def series(self, since: float, step: float) -> dict[str, list[dict[str, Any]]]:
        """The samples of the machine since `since` (Unix seconds) by table, oldest first, as means over `step` seconds.

        It waits, as `recent` does. A process that could not have the file gives its own rows, as they are.
        """
        found: dict[str, list[dict[str, Any]]] | None = self._ask(lambda: self._series(since, step))
        return found or {"hardware_samples": [], "gpu_samples": []}

    def read(self, work: Callable[[duckdb.DuckDBPyConnection], _T], *, seconds: float = READ_S) -> _T:
        """What `work` finds with a cursor that can only read, on the caller's thread, in all that was recorded before.

        It waits, as `recent` does. Raises StorageFailed where the file cannot be had, and DeadlineExceeded; an error of
        DuckDB in what `work` asked for passes through.
        """
        begun: tuple[Database, duckdb.DuckDBPyConnection] | None = self._ask(self._begin_reading)
        if begun is None:
            raise StorageFailed(
                "The metrics cannot be read.",
                f"{self._path} is held by another process, or cannot be opened; the log says more.",
                "Ask the Hearth that is running, or end it.",
            )
        import duckdb

        database, cursor = begun
        late = threading.Timer(seconds, cursor.interrupt)
        late.daemon = True
        late.start()
        try:
            return work(cursor)
        except duckdb.InterruptException:
            raise DeadlineExceeded(
                "The question to the metrics was broken off.",
                f"It has {seconds:g} seconds.",
                "Ask for less: a shorter time, or fewer rows.",
            ) from None
        except (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException) as error:
            log.warning("Reading metrics failed: %s", error)
            database.end_reading(cursor)
            self._ask(lambda: self._give_up(damaged=False))
            raise StorageFailed("The metrics could not be read.", str(error).splitlines()[0]) from None
        finally:
            late.cancel()
            database.end_reading(cursor)

    def flush(self) -> None:
        """Return when what was recorded before is written or spooled."""
        self._ask(lambda: None)

    def counts(self) -> dict[str, int]:
        """How many rows were recorded, written, spooled, imported and dropped, and how many wait."""
        with self._wake:
            return {**self._counts, "waiting": len(self._rows)}

    def close(self) -> None:
        """Write what is pending and let go of the file. May be called again; later rows are dropped."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _ask(self, errand: Callable[[], Any]) -> Any:
        answer: Future[Any] = Future()
        with self._wake:
            if self._closing:
                return None
            self._errands.append((errand, answer))
            self._start()
            self._wake.notify()
        return answer.result()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hearth-metrics", daemon=True)
            self._thread.start()

    # --- the writer's thread

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._rows or self._errands or self._closing)
                # A row may wait a little for others, unless somebody waits for it.
                self._wake.wait_for(
                    lambda: len(self._rows) >= BATCH or self._errands or self._closing, timeout=INTERVAL
                )
                rows = list(self._rows)
                self._rows.clear()
                errands = list(self._errands)
                self._errands.clear()
                closing = self._closing
            self._guarded(lambda rows=rows: self._store(rows))  # type: ignore[misc]
            for errand, answer in errands:
                answer.set_result(self._guarded(errand))
            if closing:
                break
        if self._database is not None:
            self._guarded(self._database.close)

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception:
            log.exception("Metrics could not be kept")
            return None

    def _store(self, rows: list[Row]) -> None:
        """Write `rows`; where the file will not have them, spool them; where that fails too, drop them."""
        if not rows:
            return
        for last_attempt in (False, True):
            database = self._open()
            if database is None:
                break
            try:
                database.insert(rows)
                self._count("written", len(rows))
                self._guarded(self._prune)
                return
            except Exception as error:
                log.warning("Writing metrics failed: %s", error)
                self._give_up(damaged=last_attempt and is_damage(error))
        self._unwritten.extend(row for row in rows if isinstance(row, SAMPLES))
        kept = [row for row in rows if not isinstance(row, SAMPLES)]
        self._count("dropped", len(rows) - len(kept))
        if not kept:
            return
        try:
            self._spool.write(kept)
            self._count("spooled", len(kept))
            self._unwritten.extend(kept)
        except Exception as error:
            log.warning("%d rows of metrics are lost: %s", len(kept), error)
            self._count("dropped", len(kept))

    def _recent(self, table: str, limit: int) -> list[dict[str, Any]]:
        for last_attempt in (False, True):
            database = self._open()
            if database is None:
                break
            try:
                self._take_in()
                return database.recent(table, limit)
            except Exception as error:
                log.warning("Reading metrics failed: %s", error)
                self._give_up(damaged=last_attempt and is_damage(error))
        own = [row for row in self._unwritten if isinstance(row, TABLES[table])]
        return [
            {**asdict(row), "gaps": list(row.gaps)} if isinstance(row, RequestRow) else asdict(row)
            for row in own[::-1][:limit]
        ]

    def _series(self, since: float, step: float) -> dict[str, list[dict[str, Any]]]:
        database = self._open()
        if database is not None:
            try:
                return {
                    "hardware_samples": database.series("hardware_samples", since, step),
                    "gpu_samples": database.series("gpu_samples", since, step, by="device"),
                }
            except Exception as error:
                log.warning("Reading metrics failed: %s", error)
                self._give_up(damaged=False)
        own = [row for row in self._unwritten if row.time >= since]
        return {
            table: [asdict(row) for row in own if isinstance(row, TABLES[table])]
            for table in ("hardware_samples", "gpu_samples")
        }

    def _begin_reading(self) -> tuple[Database, duckdb.DuckDBPyConnection] | None:
        database = self._open()
        if database is None:
            return None
        try:
            self._take_in()
            return database, database.begin_reading()
        except Exception as error:
            log.warning("Reading metrics failed: %s", error)
            self._give_up(damaged=False)
            return None

    def _prune(self) -> None:
        """Once a day, drop what is old."""
        if self._database is not None and time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNED_EVERY
            for samples, kept in zip((False, True), self._keep(), strict=True):
                if kept:
                    self._database.forget(time.time() - kept, samples=samples)

    def _open(self) -> Database | None:
        if self._database is not None:
            return self._database
        if time.monotonic() < self._try_again:
            return None
        try:
            self._database = Database(self._path)
        except Held:
            self._try_again = time.monotonic() + RETRY
            return None
        except Exception as error:
            log.warning("The metrics file cannot be used: %s", error)
            self._try_again = time.monotonic() + RETRY
            return None
        self._guarded(self._take_in)
        return self._database

    def _take_in(self) -> None:
        """Import what other processes left in the spool."""
        if (database := self._database) is None:
            return
        for path, rows in self._spool.files():
            database.insert(rows, spooled=path.name)
            path.unlink()
            database.forget_spooled(path.name)
            self._count("imported", len(rows))

    def _give_up(self, *, damaged: bool) -> None:
        """Close the file after an error, to open it anew; the second time it is set aside."""
        if self._database is not None:
            self._database.abandon()
            self._database = None
        if damaged:
            set_aside(self._path.with_name(self._path.name + ".wal"))
            set_aside(self._path)

    def _count(self, name: str, number: int) -> None:
        with self._wake:
            self._counts[name] += number

"""Rows of a statement as a CSV or Parquet file.

The metrics' own connection can write no file. So rows go over into a table of a second database, in memory, which
runs nothing that anybody wrote but one COPY.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import InvalidRequest
from engine.metrics.console import described, run
from engine.types import ExportForm

if TYPE_CHECKING:
    import duckdb

MOST_ROWS: Final = 1_000_000
MOST_BYTES: Final = 512 * 2**20
"""Memory of the second database."""
CHUNK: Final = 20_000
SECONDS: Final = 60.0
_COPIES: Final = {"csv": "(FORMAT csv, HEADER)", "parquet": "(FORMAT parquet, COMPRESSION zstd)"}


def exported(cursor: duckdb.DuckDBPyConnection, statement: str, form: ExportForm) -> bytes:
    """The file's bytes. Raises InvalidRequest, also for more rows than fit."""
    import duckdb

    if form not in _COPIES:
        raise InvalidRequest(f"There is no form {form!r}.", fix="There are: csv, parquet.", param="form")
    config: dict[str, Any] = {
        "memory_limit": f"{MOST_BYTES // 2**20}MB",
        "threads": "1",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with (
        tempfile.TemporaryDirectory(prefix="hearth-export-") as folder,
        duckdb.connect(":memory:", config=config) as own,
    ):
        try:
            run(cursor, statement, lambda ran: _move(ran, own))
            file = Path(folder, "rows")
            own.execute(f"COPY moved TO '{str(file).replace(chr(39), chr(39) * 2)}' {_COPIES[form]}")
        except duckdb.OutOfMemoryException:
            raise InvalidRequest(
                "There is too much to export at once.", fix="Export fewer rows or columns.", param="sql"
            ) from None
        return file.read_bytes()


def _move(ran: duckdb.DuckDBPyConnection, own: duckdb.DuckDBPyConnection) -> None:
    names, types = described(ran)
    kinds = ["VARCHAR" if kind == '"NULL"' else kind for kind in types]
    own.execute(
        f"CREATE TABLE moved ({', '.join(f'{_quoted(n)} {k}' for n, k in zip(_apart(names), kinds, strict=True))})"
    )
    insert = f"INSERT INTO moved SELECT {', '.join(f'unnest(?::{kind}[])' for kind in kinds)}"
    count = 0
    while rows := ran.fetchmany(CHUNK):
        count += len(rows)
        if count > MOST_ROWS:
            raise InvalidRequest(
                f"There are more than {MOST_ROWS:,} rows.", fix="Export a shorter time, or sums.", param="sql"
            )
        own.execute(insert, [list(column) for column in zip(*rows, strict=True)])


def _apart(names: tuple[str, ...]) -> list[str]:
    """The names, those that were there before with a number."""
    found: list[str] = []
    for name in names:
        unique, number = name, 1
        while unique.lower() in (each.lower() for each in found):
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

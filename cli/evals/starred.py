"""`hearth eval dataset`: the starred messages of this machine, or of the server that the command was pointed at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from engine import LocalConversations, RemoteEngine
from engine.paths import resolve
from evals import starred_rows, write_rows

if TYPE_CHECKING:
    from engine.remote import Address


def make_dataset(address: Address | None, file: str | None) -> tuple[Path, int]:
    """Write it; the path and how many rows. Raises InvalidRequest where no message is starred."""
    path = Path(file).expanduser() if file is not None else resolve().eval_datasets / "starred.jsonl"
    # Those of this machine need no engine.
    held = LocalConversations(resolve()) if address is None else RemoteEngine(address)
    kept = held.conversations if isinstance(held, RemoteEngine) else held

    async def there() -> int:
        try:
            found = starred_rows(await kept.starred())
        finally:
            await held.close()
        write_rows(path, found)
        return len(found)

    return path, asyncio.run(there())

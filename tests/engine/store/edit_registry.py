"""A process that edits a registry: `edit_registry.py FILE NAME COUNT` adds records, and counts up a shared one."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.store.registry import Registry
from engine.types import Alias


def main(file: str, name: str, count: int) -> None:
    """Each edit adds one record of its own, and one to the number that both processes share."""
    registry = Registry(Path(file), "aliases", Alias)
    for number in range(count):

        def edit(records: dict[str, Alias], number: int = number) -> None:
            records[f"{name}-{number}"] = Alias(model="ember", max_tokens=number + 1)
            shared = records.get("shared", Alias(model="ember", max_tokens=1))
            records["shared"] = Alias(model="ember", max_tokens=(shared.max_tokens or 0) + 1)

        registry.change(edit)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

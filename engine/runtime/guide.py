"""What the sampled tokens of a sequence must follow."""

from __future__ import annotations

from typing import Protocol, Self


class Guide(Protocol):
    """A grammar at work on one sequence, token by token."""

    def allows(self, token: int) -> bool: ...

    def accept(self, token: int) -> None: ...

    def fork(self) -> Self: ...

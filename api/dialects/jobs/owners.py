"""Whose jobs are whose: a key's own, those of this machine's programs without one, and all of them for the admin."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from engine.errors import HearthError

if TYPE_CHECKING:
    from api.hub import Hub
    from api.security.credentials import Principal


def owner_of(principal: Principal) -> str:
    """To whom what is made belongs; empty for this user's own programs."""
    if principal.key is not None:
        return f"key:{principal.key.id}"
    return "" if "admin" in principal.scopes else "local"


def sees(principal: Principal) -> str | None:
    """Whose things a caller may see; None: everybody's."""
    return None if "admin" in principal.scopes else owner_of(principal)


async def conversation_of(hub: Hub, principal: Principal, said: str | int) -> str | int:
    """The conversation that a client's `session_id` means: its number, or the caller's own of that name.

    Numbers of others' conversations are names too: nobody comes into a conversation by guessing.
    """
    owner = owner_of(principal)
    if isinstance(said, int):
        if await _has(hub, said, principal):
            return said
        said = str(said)
    if not owner and re.fullmatch(r"[0-9a-f]{16}", said):
        try:
            return (await hub.engine.conversations.get(said)).summary.id
        except HearthError:
            pass
    return hashlib.blake2b(f"{owner}\0{said}".encode(), digest_size=8).hexdigest()


async def _has(hub: Hub, number: int, principal: Principal) -> bool:
    from engine.types import JobQuery

    if not 0 < number < 2**63:
        return False
    page = await hub.engine.jobs.find(JobQuery(owner=sees(principal), conversation=number, limit=1))
    return bool(page.jobs)

"""The engine room: one engine keeps models warm and serves every pane, dialect, job and eval at once.

Rooms above import from here, and from `engine.types`, `engine.errors`, `engine.settings` and `engine.paths`;
everything else is the engine's own. Importing this package imports nothing: each name
is loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.conversations.face import Conversations
    from engine.conversations.local import LocalConversations
    from engine.conversations.query import parse as parse_query
    from engine.face import Engine, Pulling, Stream
    from engine.jobs.face import Jobs
    from engine.jobs.local import LocalJobs
    from engine.jobs.webhook import secret as webhook_secret
    from engine.library.adapter_names import parse as parse_adapters
    from engine.library.aliases import alias_name
    from engine.local import LocalEngine
    from engine.metrics.face import Metrics
    from engine.remote.address import Address
    from engine.remote.address import parse as parse_address
    from engine.remote.engine import RemoteEngine
    from engine.sampling import resolve as resolve_sampling
    from engine.store.sqlite import Database

__all__ = [
    "Address",
    "Conversations",
    "Database",
    "Engine",
    "Jobs",
    "LocalConversations",
    "LocalEngine",
    "LocalJobs",
    "Metrics",
    "Pulling",
    "RemoteEngine",
    "Stream",
    "alias_name",
    "parse_adapters",
    "parse_address",
    "parse_query",
    "resolve_sampling",
    "webhook_secret",
]


def __getattr__(name: str) -> Any:
    if name == "LocalEngine":
        from engine.local import LocalEngine

        return LocalEngine
    if name == "RemoteEngine":
        from engine.remote.engine import RemoteEngine

        return RemoteEngine
    if name in ("Address", "parse_address"):
        from engine.remote import address

        return address.parse if name == "parse_address" else address.Address
    if name == "LocalConversations":
        from engine.conversations.local import LocalConversations

        return LocalConversations
    if name == "LocalJobs":
        from engine.jobs.local import LocalJobs

        return LocalJobs
    if name == "Jobs":
        from engine.jobs.face import Jobs

        return Jobs
    if name == "Conversations":
        from engine.conversations.face import Conversations

        return Conversations
    if name == "Metrics":
        from engine.metrics.face import Metrics

        return Metrics
    if name == "Database":
        from engine.store.sqlite import Database

        return Database
    if name == "parse_query":
        from engine.conversations.query import parse as parse_query

        return parse_query
    if name in ("Engine", "Pulling", "Stream"):
        from engine import face

        return getattr(face, name)
    if name == "parse_adapters":
        from engine.library.adapter_names import parse

        return parse
    if name == "alias_name":
        from engine.library.aliases import alias_name

        return alias_name
    if name == "resolve_sampling":
        from engine.sampling import resolve

        return resolve
    if name == "webhook_secret":
        from engine.jobs.webhook import secret

        return secret
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

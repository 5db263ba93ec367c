"""Where an engine listens, and the key to it, as a person writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.text_safety import plain

PORT: Final = 11434
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,253}")


class Address(Struct, frozen=True, kw_only=True):
    """`url` has scheme, host and port, nothing else. `key` is a secret; empty: none is needed."""

    url: str
    key: str = ""
    renew: Callable[[], str] | None = None
    """Reads the key anew where it changes with each start of the server, as this user's own does; empty: there is
    none. On a thread. None: the key is for good."""

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    @property
    def name(self) -> str:
        """Host and port, for people."""
        return self.url.partition("://")[2]


def parse(text: str, key: str = "") -> Address:
    """The address that `text` means: `host`, `host:port`, `[::1]:port`, or the same behind http:// or https://.

    Raises InvalidRequest for anything else: a path, a user, another scheme.
    """
    written = text.strip()
    if "://" not in written:
        written = f"http://{written}"
    try:
        parts = urlsplit(written)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _unusable(text, f"{error}.") from None
    if parts.scheme not in ("http", "https"):
        raise _unusable(text, "It begins neither with http:// nor with https://.")
    if parts.username is not None or parts.password is not None:
        raise _unusable(text, "A key goes into HEARTH_KEY or --key-file, where nobody else sees it.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _unusable(text, "There is more behind the port.")
    if not _HOST.fullmatch(host):
        raise _unusable(text, "It names no host.")
    shown = f"[{host}]" if ":" in host else host
    if port is None:
        port = 443 if parts.scheme == "https" else PORT
    return Address(url=f"{parts.scheme}://{shown}:{port}", key=key)


def _unusable(text: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{plain(text, 80)!r} is no address of a Hearth.",
        why,
        f"Write it as http://HOST:PORT; without a port it is {PORT}.",
        param="connect",
    )

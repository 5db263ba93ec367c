"""Which `Host` and `Origin` headers are let in: the guard against rebound names and foreign web pages.

A page on the web can send requests to this machine, and with a name that it points here itself even read the
answers. So a request must be addressed to a name that is ours, and if it comes from a page, to one that may.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def host_of(header: str) -> str | None:
    """The name in a `Host` header, lower case, without port and trailing dot; None if it is no such header."""
    text = header.strip().lower()
    if not text or any(char in text for char in "/\\@ \t,?#"):
        return None
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port.removeprefix(":"))):
            return None
        return name
    name, colon, port = text.partition(":")
    if colon and not _is_port(port):
        return None
    return name.removesuffix(".") or None


@lru_cache(maxsize=256)
def host_allowed(header: str, allowed: tuple[str, ...]) -> bool:
    """Whether a request addressed to `header` is for this server; `allowed` are names beside the loopback ones."""
    name = host_of(header)
    if name is None:
        return False
    return name in LOOPBACK or name in {each.lower().removesuffix(".") for each in allowed}


def origin_allowed(origin: str, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of `origin` may call: one that this server sent itself, or one that is named exactly.

    `host` is the request's own Host header. Scheme, name and port all count.
    """
    if origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        return False
    return f"{parts.netloc.lower()}" == host.strip().lower() and (port is not None or ":" not in host)


@lru_cache(maxsize=256)
def is_loopback(address: str) -> bool:
    """Whether `address`, an IP or `localhost`, is this machine alone."""
    if address.lower() == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5

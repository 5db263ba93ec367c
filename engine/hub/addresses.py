"""Which addresses are asked, and which of them may see the token.

The hub's own, over whatever it was set up with; where it redirects to, only over https and only to Hugging Face's
hosts, or to the hosts that the settings name. The token goes to the hub's own origin and nowhere else: a request that
is redirected elsewhere goes on without it. One parser reads an address for both the check and the request. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from engine.errors import PullFailed
from engine.hub.access import Access
from engine.text_safety import plain

if TYPE_CHECKING:
    import httpx2

FAMILY: Final = ("huggingface.co", "hf.co")
MOST_REDIRECTS: Final = 5
_PORTS: Final = {"http": 80, "https": 443}


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    return url.scheme, url.host.rstrip(".").lower(), url.port or _PORTS.get(url.scheme)


def sees_token(url: httpx2.URL, access: Access) -> bool:
    """Whether a request to `url` carries the token."""
    import httpx2

    return origin(url) == origin(httpx2.URL(access.endpoint))


def redirected(access: Access, source: httpx2.URL, location: str) -> httpx2.URL:
    """The address that `location`, an answer's header, leads to from `source`. Raises PullFailed for others' hosts."""
    import httpx2

    try:
        if len(location) > 16_384 or "\\" in location or any(ord(c) < 33 for c in location):
            raise httpx2.InvalidURL("it holds characters that no address has")
        url = source.join(location)
        if url.userinfo:
            raise httpx2.InvalidURL("it names a user")
        scheme, host, _ = origin(url)
    except httpx2.InvalidURL as error:
        raise _refused(access, location, f"The address cannot be followed: {error}.") from None
    if origin(url) == origin(httpx2.URL(access.endpoint)):
        return url
    if (
        url.netloc.decode("ascii", "replace").lower() in access.download_hosts
        or host in access.download_hosts
    ):
        return url
    if scheme != "https":
        raise _refused(
            access,
            location,
            f"{plain(host, 80) or 'It'} would be asked over {plain(scheme, 10) or 'nothing'}.",
        )
    if not any(host == name or host.endswith("." + name) for name in FAMILY):
        raise _refused(access, location, f"{plain(host, 80)} is none of the hub's hosts.")
    return url


def api(access: Access, *parts: str) -> str:
    """The address of the hub's API below `parts`."""
    return "/".join([access.endpoint, "api", *(quote(part, safe="/") for part in parts)])


def quoted(revision: str) -> str:
    """A revision as one part of an address."""
    return quote(revision, safe="")


def file(access: Access, repository: str, commit: str, path: str) -> str:
    """The address of a file at a commit."""
    return f"{access.endpoint}/{quote(repository)}/resolve/{commit}/{quote(path)}"


def _refused(access: Access, location: str, why: str) -> PullFailed:
    return PullFailed(
        f"The hub at {plain(access.endpoint, 80)} sent this machine elsewhere: {plain(location, 80)}.",
        why,
        "Check hub.endpoint; name the host in hub.download_hosts if you trust it with downloads.",
    )

"""Images from http(s) addresses, where the settings allow it: never from this machine, its network or another cloud's.

A name is resolved once, every address it gives must be public, and the connection goes to one of those very addresses
(the name stays in `Host` and TLS), so that a second, different answer of the DNS has no effect. Redirects are followed
by hand with the same checks. Proxies of the environment are not used: they would do the resolving. Errors do not say
what a name resolved to, nor what answered.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.errors import InvalidRequest
from engine.media.addresses import is_near, is_public, own_networks
from engine.media.header import too_long
from engine.settings import Media

if TYPE_CHECKING:
    import httpx2

REDIRECTS: Final = 3
"""How often a server may point elsewhere."""
CONNECT_SECONDS: Final = 3.0
"""How long one of several addresses is tried."""
LONGEST_URL: Final = 8192
"""Characters."""
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host name and a port to addresses in text. Raises OSError where there are none."""
Allowed = Callable[[str], bool]
"""Whether an address may be connected to. May block for a moment."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host` by the system's resolver, which reads numbers in every spelling as well."""
    import socket

    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def allowed(address: str) -> bool:
    """Whether `address` is public and in none of this machine's own networks."""
    return is_public(address) and not is_near(address, own_networks())


class Fetcher:
    """See `fetch`. `resolve`, `allowed` and `trust` (TLS) are the system's; tests bring others."""

    def __init__(
        self,
        media: Media,
        *,
        resolve: Resolve = resolve,
        allowed: Allowed = allowed,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._media, self._resolve, self._allowed, self._trust = media, resolve, allowed, trust
        self._hosts = frozenset(host.lower().rstrip(".") for host in media.url_hosts)

    async def fetch(self, url: str, param: str) -> bytes:
        """The body at `url`, at most `media.max_bytes` long, within `media.url_seconds`.

        Raises InvalidRequest (with `param`) where addresses are not allowed, for one that may not be asked, and when
        no whole body of a fitting size comes. Whether it is an image is for the caller to see.
        """
        if not self._media.allow_urls:
            raise InvalidRequest(
                "Images are not fetched from addresses here.",
                "media.allow_urls is off.",
                "Send the image itself, as a data URI or base64, or allow addresses in the settings.",
                param=param,
            )
        # The client and the list of certificates take a while.
        http, trust = await asyncio.to_thread(self._client_parts)
        try:
            async with (
                asyncio.timeout(self._media.url_seconds),
                http.AsyncClient(
                    verify=trust, trust_env=False, timeout=http.Timeout(None, connect=CONNECT_SECONDS)
                ) as client,
            ):
                return await self._followed(http, client, url, param)
        except TimeoutError:
            raise _failed(param, f"It took longer than {self._media.url_seconds:g} s.") from None
        except http.HTTPError:
            raise _failed(param, "The connection failed.") from None

    def _client_parts(self) -> tuple[Any, ssl.SSLContext]:
        import httpx2

        if self._trust is None:
            self._trust = httpx2.create_ssl_context(trust_env=False)
        return httpx2, self._trust

    async def _followed(self, http: Any, client: httpx2.AsyncClient, url: str, param: str) -> bytes:
        place = self._checked(http, url, param)
        for _ in range(REDIRECTS + 1):
            answer = await self._answer(http, client, place, param)
            try:
                if answer.status_code not in _REDIRECTING or "location" not in answer.headers:
                    return await self._body(answer, param)
                target = answer.headers["location"]
            finally:
                await answer.aclose()
            _check_text(target, param)
            try:
                target = str(place.join(target))
            except (http.InvalidURL, ValueError):
                raise _refused(param, "It was redirected to something that is no address.") from None
            place = self._checked(http, target, param)
        raise _failed(param, f"It was redirected more than {REDIRECTS} times.")

    def _checked(self, http: Any, url: str, param: str) -> httpx2.URL:
        """`url`, read by the one parser whose result is also connected to."""
        _check_text(url, param)
        try:
            place: httpx2.URL = http.URL(url)
        except (http.InvalidURL, ValueError):
            raise _refused(param, "It is not a valid address.") from None
        host = place.raw_host.decode("ascii")
        if place.scheme not in ("http", "https") or not host:
            raise _refused(param, "Only http:// and https:// are followed.")
        if place.userinfo:
            raise _refused(param, "It holds a name or password.")
        if _port(place) not in self._media.url_ports:
            raise _refused(param, f"Port {_port(place)} is not among media.url_ports.")
        if self._hosts and host.lower().rstrip(".") not in self._hosts:
            raise _refused(param, "Its host is not among media.url_hosts.")
        return place

    async def _addresses(self, place: httpx2.URL, param: str) -> list[str]:
        try:
            found = list(await self._resolve(place.raw_host.decode("ascii"), _port(place)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise _failed(param, "Its host is not known.")
        permitted = await asyncio.to_thread(lambda: all(map(self._allowed, found)))
        if not permitted:
            raise _refused(param, "Its host is not on the public internet.")
        return found

    async def _answer(
        self, http: Any, client: httpx2.AsyncClient, place: httpx2.URL, param: str
    ) -> httpx2.Response:
        """The answer, its body unread, of the first address that takes a connection."""
        host = place.raw_host.decode("ascii").rstrip(".")
        for address in await self._addresses(place, param):
            request = client.build_request(
                "GET",
                place.copy_with(host=address),
                headers={
                    "Host": place.netloc.decode("ascii"),
                    "Accept": "image/*",
                    "Accept-Encoding": "identity",
                    "User-Agent": "hearth",
                },
                extensions={"sni_hostname": host},
            )
            try:
                return await client.send(request, stream=True, follow_redirects=False)
            except (http.ConnectError, http.ConnectTimeout):
                continue
        raise _failed(param, "The connection failed.")

    async def _body(self, answer: httpx2.Response, param: str) -> bytes:
        most = self._media.max_bytes
        if answer.status_code != 200:
            raise _failed(param, f"The answer was {answer.status_code}.")
        if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise _failed(param, "The answer is compressed, which was not asked for.")
        length = answer.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_long(param, most)
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > most:
                raise too_long(param, most)
        return bytes(body)


def _port(place: httpx2.URL) -> int:
    return place.port or (443 if place.scheme == "https" else 80)


def _check_text(url: str, param: str) -> None:
    """What parsers are known to disagree about, or to cut away silently, is not parsed at all."""
    if len(url) > LONGEST_URL:
        raise _refused(param, f"It is longer than {LONGEST_URL:,} characters.")
    if "\\" in url or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in url):
        raise _refused(param, "It holds a backslash, white space or a control character.")


def _refused(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        "The image's address may not be asked.",
        why,
        "Send the image itself, as a data URI or base64.",
        param=param,
    )


def _failed(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        "The image could not be fetched.",
        why,
        "Check the address, or send the image itself, as a data URI or base64.",
        param=param,
    )

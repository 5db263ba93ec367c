"""Asks the hub: JSON, text, and ranges of files, over one pool of connections. Belongs on one event loop.

Redirects are followed by hand, under the rules of `addresses`; answers are read up to a bound, however they are packed;
what is worth a second try gets one after the wait that the hub asks for.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

import httpx2
import msgspec
from msgspec import Struct

from engine.errors import HubUnavailable, InvalidSettings, PullFailed
from engine.hub import addresses
from engine.hub.access import Access
from engine.hub.refusals import Unreachable, offline, refusal, unreachable
from engine.text_safety import plain

MOST_JSON: Final = 64 << 20
MOST_PAGES: Final = 200
MOST_READ: Final = 16 << 10
"""Bytes of an answer that are read though nobody wants them."""
NOTED: Final = ("x-linked-etag", "x-linked-size", "x-repo-commit")
"""What the hub itself says of a file, however many redirects stand between; the first answer's word counts."""
Parameters = Mapping[str, str | Sequence[str]]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Pace(Struct, frozen=True, kw_only=True):
    """How patient a client is, in seconds. Tests are in more of a hurry."""

    first: float = 1.0
    """The first wait between two tries; each further one is twice as long."""
    most: float = 60.0
    tries: int = 10
    """Tries without a byte of progress."""
    stall: float = 15.0
    """A connection that is silent for so long is given up."""
    connect: float = 6.0
    question: float = 10.0
    """The longest wait for which a question is asked again, instead of refused with that wait."""

    def wait(self, tried: int, asked: float | None = None) -> float:
        """Seconds before the next try after `tried` of them; `asked` is what the hub wants."""
        own = min(self.most, self.first * 2.0 ** min(tried - 1, 30)) * random.uniform(0.5, 1.0)
        return max(own, asked or 0.0)


class Client:
    """One per engine. Making one and every call raise HearthError."""

    def __init__(self, access: Access, pace: Pace | None = None) -> None:
        self.access, self.pace = access, pace or Pace()
        # It logs addresses, and those of the storage are signed.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        try:
            self._http = httpx2.AsyncClient(
                follow_redirects=False,
                headers={"User-Agent": f"hearth/{version('hearth')}"},
                timeout=httpx2.Timeout(self.pace.stall, connect=self.pace.connect),
                limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
            )
        except (ImportError, ValueError, OSError) as error:
            # The environment names a proxy or certificates that cannot be used.
            raise InvalidSettings(
                "The way to the hub cannot be set up.",
                f"{plain(str(error), 200).rstrip('.')}.",
                "Check HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE.",
            ) from None

    async def close(self) -> None:
        await self._http.aclose()

    async def json(
        self,
        url: str,
        kind: type[Any],
        *,
        repository: str = "",
        revision: str = "",
        parameters: Parameters = NOTHING,
        patient: bool = True,
    ) -> tuple[Any, str | None]:
        """The answer at `url` as `kind`, and the address of the next page if there is one.

        Who is not `patient` does not ask a hub again that did not answer at all.
        """
        body, headers = await self.body(
            url,
            MOST_JSON,
            repository=repository,
            revision=revision,
            parameters=parameters,
            patient=patient,
        )
        try:
            found = await asyncio.to_thread(msgspec.json.decode, body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PullFailed(
                "The hub's answer cannot be read.",
                f"{plain(str(error), 200)}.",
                "Check that hub.endpoint is a model hub.",
            ) from None
        return found, self._next_page(url, headers)

    def _next_page(self, url: str, headers: Mapping[str, str]) -> str | None:
        link = (
            httpx2.Response(200, headers={"link": headers.get("link", "")[:8192]})
            .links.get("next", {})
            .get("url")
        )
        return str(addresses.redirected(self.access, httpx2.URL(url), link)) if link else None

    async def body(
        self,
        url: str,
        most: int,
        *,
        repository: str = "",
        revision: str = "",
        path: str = "",
        parameters: Parameters = NOTHING,
        patient: bool = True,
    ) -> tuple[bytes, Mapping[str, str]]:
        """The answer at `url`, at most `most` bytes, and its headers."""
        tried = 0
        while True:
            tried += 1
            try:
                async with self.opened(url, parameters=parameters) as answer:
                    if answer.status_code != 200:
                        raise refusal(
                            answer.status_code, answer.headers, self.access, repository, revision, path
                        )
                    return await _read(answer, most), answer.headers
            except HubUnavailable as problem:
                wait = self.pace.wait(tried, problem.retry_after_s)
                given_up = isinstance(problem, Unreachable) and not patient
                if self.access.offline or given_up or tried >= 3 or wait > self.pace.question:
                    raise
                await asyncio.sleep(wait)

    @asynccontextmanager
    async def opened(
        self, url: str | httpx2.URL, *, headers: Mapping[str, str] = NOTHING, parameters: Parameters = NOTHING
    ) -> AsyncIterator[httpx2.Response]:
        """The answer to a GET after all redirects, its body unread; `noted` in its extensions is what `NOTED` names.

        Raises HubUnavailable for a network that fails, also while the caller reads the body.
        """
        if self.access.offline:
            raise offline("This")
        try:
            place = httpx2.URL(url)
            if parameters:
                place = place.copy_merge_params(dict(parameters))
            noted: dict[str, str] = {}
            for _ in range(addresses.MOST_REDIRECTS + 1):
                sent = dict(headers)
                if self.access.token and addresses.sees_token(place, self.access):
                    sent["Authorization"] = f"Bearer {self.access.token}"
                request = self._http.build_request("GET", place, headers=sent)
                answer = await self._http.send(request, stream=True)
                try:
                    noted = {
                        **{name: answer.headers[name] for name in NOTED if name in answer.headers},
                        **noted,
                    }
                    if answer.status_code not in (301, 302, 303, 307, 308):
                        answer.extensions["noted"] = noted
                        yield answer
                        return
                    place = addresses.redirected(self.access, place, answer.headers.get("location", ""))
                    length = answer.headers.get("content-length", "")
                    if length.isdecimal() and len(length) < 9 and int(length) <= MOST_READ:
                        # A connection whose answer was not read whole cannot be used again.
                        await answer.aread()
                finally:
                    await answer.aclose()
        except httpx2.InvalidURL as error:
            raise PullFailed(
                "An address of the hub cannot be used.", f"{error}.", "Check hub.endpoint."
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise unreachable(self.access, _words(error)) from None
        raise PullFailed("The hub redirects without end.", fix="Check hub.endpoint.")


async def _read(answer: httpx2.Response, most: int) -> bytes:
    pieces, size = [], 0
    async for piece in answer.aiter_bytes():
        size += len(piece)
        if size > most:
            raise PullFailed("The hub's answer is too long.", f"It has more than {most >> 20} MiB.")
        pieces.append(piece)
    return b"".join(pieces)


def _words(error: BaseException) -> str:
    """What went wrong, for people: httpx2 says nothing of a timeout."""
    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return "It does not answer"
    if isinstance(error, httpx2.TimeoutException):
        return "It fell silent"
    return str(error) or type(error).__name__

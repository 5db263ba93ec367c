"""Asks the server that runs for this user, in Ollama's words or Hearth's own, with the token of its own programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import ErrorInfo, HearthError, ModelNotFound, ModelUnavailable
from engine.paths import resolve

if TYPE_CHECKING:
    from cli.configuration import GlobalOptions
    from engine import Address


def ask(
    options: GlobalOptions, method: str, path: str, body: object = None, *, seconds: float | None = None
) -> dict[str, Any]:
    """The answer of the server that `options` name, else of this user's.

    `seconds` bounds the wait for it; None: a load may take long.
    Raises ModelUnavailable where no server runs or none answers, ModelNotFound, and HearthError with its words for
    what it refuses.
    """
    import http.client
    from urllib.parse import urlsplit

    address = options.address or _own()
    parts = urlsplit(address.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {
        "content-type": "application/json",
        **({"authorization": f"Bearer {address.key}"} if address.key else {}),
    }
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        try:
            connection.request(
                method, path, None if body is None else msgspec.json.encode(body), headers=headers
            )
            answer = connection.getresponse()
            found: dict[str, Any] = msgspec.json.decode(answer.read(), type=dict[str, Any])
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        raise ModelUnavailable(
            "The server does not answer.",
            f"{address.url}: {error}.",
            "See `hearth status` and `hearth logs`.",
        ) from None
    if answer.status >= 400:
        try:
            # Hearth's own routes say it whole.
            raise HearthError.from_info(msgspec.convert(found, ErrorInfo))
        except msgspec.ValidationError:
            raise _refusal(answer.status, str(found.get("error", ""))) from None
    return found


def _own() -> Address:
    from api.presence import noticed
    from api.security.tokens import read
    from engine import Address

    paths = resolve()
    notice = noticed(paths)
    if notice is None:
        raise ModelUnavailable(
            "No server of yours runs.",
            "Models stay in memory as long as the program that loaded them.",
            "Start one with: hearth start. The workstation shows its own under Models.",
        )
    return Address(url=notice.url, key=read(paths) or "")


def _refusal(status: int, said: str) -> HearthError:
    if status == 404:
        return ModelNotFound(said or "There is no such model.", fix="`hearth list` lists what there is.")
    return HearthError(said or f"The server answers with status {status}.")

"""No request from outside names a file of this machine: not for a model, an adapter or a picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from engine.errors import InvalidRequest, NotAllowed
from engine.types import Alias, ImagePart, LoadOptions

if TYPE_CHECKING:
    from api.answering.call import Call
    from api.hub import Hub

_PLAIN: Final = re.compile(r"[^/\\~.][^/\\]{0,199}")


def check_names(value: Any, hub: Hub) -> None:
    """Raises InvalidRequest, or ModelNotFound, for a request that names a path anywhere."""
    for message in getattr(value, "messages", None) or ():
        for part in message.content if isinstance(message.content, tuple) else ():
            _check_image(part)
    for image in getattr(value, "images", ()):
        _check_image(image)
    for adapter in getattr(value, "adapters", None) or ():
        if not _PLAIN.fullmatch(adapter.name) or adapter.name.lower().endswith(".gguf"):
            raise InvalidRequest(
                "Adapters go by name over HTTP.",
                "No path is followed.",
                "`GET /adapters` lists them.",
                param="adapters",
            )
    for name in ("load", "options"):
        load = getattr(value, name, None)
        if isinstance(load, LoadOptions) and load.draft_model:
            hub.model(load.draft_model)


def _check_image(part: Any) -> None:
    if isinstance(part, ImagePart) and part.path is not None:
        raise InvalidRequest(
            "A picture cannot be named by its path over HTTP.",
            "No file of this machine is opened for its clients.",
            "Send its bytes (`data`, base64).",
            param="messages",
        )


def check_own(call: Call, what: str) -> None:
    """Raises NotAllowed unless a program of this user asks: only they may name files of this machine."""
    if not call.principal.own:
        raise NotAllowed(
            f"{what} only for this user's own programs on this machine.",
            "It names files, and no file of this machine is opened for others.",
            "Do it on the machine where Hearth runs.",
        )


def check_alias(alias: Alias, call: Call) -> None:
    """An alias that is made from outside leads to names alone. Raises InvalidRequest, ModelNotFound, NotAllowed.

    This user's own programs may name files, and write templates, as in the file that aliases lie in.
    """
    if call.principal.own:
        return
    call.hub.model(alias.model)
    check_names(alias, call.hub)

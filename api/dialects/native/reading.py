"""Reads the bodies of native requests into the engine's Structs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from litestar import Request
from msgspec import Struct
from msgspec.structs import replace

from api.answering.call import Call
from api.dialects.native.files import check_names
from api.reading.body import read_json
from api.reading.fields import Fields, words
from engine.errors import InvalidRequest

if TYPE_CHECKING:
    from api.hub import Hub

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Struct)


async def read(request: Request[Any, Any, Any], kind: type[_T]) -> tuple[Call, _T]:
    """The body as `kind`. Raises InvalidRequest."""
    hub: Hub = request.app.state["hub"]
    value = await read_json(request, hub.settings.server.max_body)
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest("The request's body cannot be used.", words(str(error))) from None
    return Call(request, hub, Fields({})), found


async def read_for_model(request: Request[Any, Any, Any], kind: type[_S]) -> tuple[Call, _S]:
    """The body as `kind`, which has a `model`, its names checked. Raises InvalidRequest, ModelNotFound."""
    call, found = await read(request, kind)
    check_names(found, call.hub)
    model = call.hub.model(getattr(found, "model"))  # noqa: B009  (every such kind has one)
    return call, replace(found, model=model)


def number(request: Request[Any, Any, Any], name: str, default: int, most: int) -> int:
    """A whole number of the query, held between 1 and `most`. Raises InvalidRequest."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise InvalidRequest(f"`{name}` must be a whole number.", param=name)
    return max(1, min(most, int(text)))

"""The machine by the engine's face: what fits, what the hardware does now and did lately, changed settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, get, post
from litestar.types import ASGIApp
from msgspec import Struct

from api.answering.reply import as_json
from api.dialects.native.files import check_names, check_own
from api.dialects.native.reading import read
from engine.errors import InvalidRequest
from engine.settings import Settings
from engine.types import LoadOptions

if TYPE_CHECKING:
    from api.hub import Hub

LONGEST: Final = 400 * 86_400.0
"""Seconds of history that may be asked for."""


class Fits(Struct, frozen=True, kw_only=True):
    models: tuple[str, ...] | None = None
    options: LoadOptions | None = None


@post("/hearth/v1/fits", status_code=200)
async def fits(request: Request[Any, Any, Any]) -> ASGIApp:
    """Whether models would fit, by their headers alone."""
    call, asked = await read(request, Fits)
    check_names(asked, call.hub)
    return as_json(await call.attended(call.hub.engine.fits(asked.models, asked.options)))


@get("/hearth/v1/hardware", status_code=200)
async def hardware(request: Request[Any, Any, Any]) -> ASGIApp:
    """What the machine does now."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.hardware())


@get("/hearth/v1/hardware_history", status_code=200)
async def hardware_history(request: Request[Any, Any, Any]) -> ASGIApp:
    """What it did in the last `seconds` (600), oldest first."""
    hub: Hub = request.app.state["hub"]
    try:
        seconds = float(request.query_params.get("seconds", "600"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= LONGEST:
        raise InvalidRequest("`seconds` must be a number of seconds.", param="seconds")
    return as_json(await hub.engine.hardware_history(seconds))


@post("/hearth/v1/adopt", status_code=200)
async def adopt(request: Request[Any, Any, Any]) -> ASGIApp:
    """Go by these settings, all of them, from now on. For this user's own programs: settings name folders."""
    call, settings = await read(request, Settings)
    check_own(call, "Settings are changed")
    call.hub.engine.adopt(settings)
    call.hub.adopt(settings)
    return as_json({})


ROUTES = [fits, hardware, hardware_history, adopt]

"""Signing in and out."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.types import ASGIApp

from api.answering.reply import Reply
from api.errors import RateLimited, Unauthorized, headers_of
from api.security.pages import CONVERSATIONS, LOGIN, is_page
from api.security.passwords import LONGEST
from api.security.sessions import cookie, secret_of
from api.web.drawing import HTML, page
from api.web.forms import Form
from api.web.visit import Visit
from engine.errors import HearthError, InvalidRequest


@get(LOGIN, status_code=200)
async def form(request: Request[Any, Any, Any]) -> ASGIApp:
    """Where one signs in, or what has to be done before anybody can."""
    visit = Visit(request)
    guest = visit.guest()
    if guest is not None and guest.session is not None:
        return _led_to(_next(request.query_params.get("next", "")))
    return _page(visit, request.query_params.get("next", ""))


@post(LOGIN, status_code=200)
async def sign_in(request: Request[Any, Any, Any]) -> ASGIApp:
    """Take a password, and hand out a session that nobody has had before."""
    visit = Visit(request)
    sent = await Form.of(request)
    password = sent.text("password")
    if len(password) > LONGEST:
        raise InvalidRequest(
            "That is too long for a password.", f"At most {LONGEST:,} characters.", param="password"
        )
    sessions = visit.hub.sessions
    try:
        secret, _ = await sessions.sign_in(password, visit.peer)
    except (Unauthorized, RateLimited) as error:
        if "text/html" in request.headers.get("accept", ""):
            return _page(visit, sent.text("next"), error)
        raise
    before = sessions.find(secret_of(request.headers.get("cookie", "")))
    if before is not None:
        sessions.sign_out(before)
        visit.hub.signed_out(before)
    secure = request.headers.get("origin", "").startswith("https://")
    return _led_to(_next(sent.text("next")), (b"set-cookie", cookie(secret, secure=secure)))


@post("/chat/logout", status_code=200)
async def sign_out(request: Request[Any, Any, Any]) -> ASGIApp:
    """End the session, and what is being sent to it."""
    visit = Visit(request)
    session = visit.principal.session
    if session is not None:
        visit.hub.sessions.sign_out(session)
        visit.hub.signed_out(session)
    gone = (b"set-cookie", cookie("", secure=False))
    if visit.is_partial:
        return Reply(b"", status=200, headers=[(b"hx-redirect", LOGIN.encode()), gone])
    return _led_to(LOGIN, gone)


def _page(visit: Visit, next: str, error: HearthError | None = None) -> Reply:
    info = error.info if error is not None else None
    return page(
        "login.html",
        status=info.http_status if info is not None else 200,
        headers=tuple(headers_of(info, "web")) if info is not None else (),
        next=_next(next),
        error=info,
        possible=visit.hub.sessions.possible,
    )


def _next(said: str) -> str:
    """Where to go from the sign-in: a page of this server, whatever was said."""
    path, question, query = said.partition("?")
    good = is_page(path) and path.isascii() and path.isprintable() and ".." not in path and "\\" not in path
    return f"{path}{question}{query}" if good and query.isascii() and query.isprintable() else CONVERSATIONS


def _led_to(path: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(b"", status=303, media_type=HTML, headers=[(b"location", path.encode()), *headers])


ROUTES = [form, sign_in, sign_out]

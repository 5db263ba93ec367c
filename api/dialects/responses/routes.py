"""`/v1/responses`: make, fetch, follow, cancel, drop, count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, delete, get, post
from litestar.types import ASGIApp
from msgspec.structs import replace

from api.answering.call import Call
from api.answering.codec import SSE
from api.answering.reply import as_json
from api.answering.result import Choice
from api.dialects.openai.chat import USUAL
from api.dialects.responses.codec import ResponseCodec, ResponseWhole
from api.dialects.responses.request import asked_of
from api.dialects.responses.store import Kept, Responses
from api.reading.fields import Fields
from engine.errors import InvalidRequest
from engine.types import Message

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

_HERE = "/v1/responses/{response_id:str}"


@post(["/v1/responses", "/responses"], status_code=200)
async def create(request: Request[Any, Any, Any]) -> ASGIApp:
    """A response: at once, as events, or behind the client's back."""
    call = await Call.of(request)
    store: Responses = request.app.state["responses"]
    before: tuple[Message, ...] = ()
    if (previous := call.fields.take("previous_response_id", str)) is not None:
        before = store.find(previous, call.principal).messages
    asked = asked_of(call.fields, call.model(), call.named, call.id, before)
    asked = replace(asked, request=await call.settled(call.complete(asked.request), **USUAL))
    kept = Kept(asked, call.principal.name)
    if asked.background:
        kept.response = {**kept.response, "status": "queued"}
        store.keep(kept)
        queued = dict(kept.response)
        store.run(kept, call.hub.engine.generate(asked.request), call.id)
        return Following(kept, 0) if asked.stream else as_json(queued, headers=call.notes())

    def finish(response: dict[str, Any], choice: Choice) -> None:
        kept.finish(response, choice)
        kept.ended = True
        if asked.store:
            store.keep(kept)

    return call.answer(
        asked.request,
        whole=ResponseWhole(asked, call.id, finish),
        codec=ResponseCodec(asked, call.id, finish) if asked.stream else None,
        model=call.named,
    )


@get(_HERE, status_code=200)
async def fetch(request: Request[Any, Any, Any]) -> ASGIApp:
    """The response as it is now; with `stream=true` its events, from `starting_after` on."""
    kept = _kept(request)
    if request.query_params.get("stream") != "true":
        return as_json(kept.response)
    if not kept.events and kept.ended:
        raise InvalidRequest("This response was not made in the background.", param="stream")
    after = request.query_params.get("starting_after", "-1")
    if not after.lstrip("-").isdigit() or len(after) > 9:
        raise InvalidRequest("`starting_after` must be a whole number.", param="starting_after")
    return Following(kept, max(0, int(after) + 1))


@delete(_HERE, status_code=200)
async def drop(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a response."""
    kept = _kept(request)
    store: Responses = request.app.state["responses"]
    if kept.stream is not None:
        kept.stream.cancel()
    store.drop(kept.response["id"])
    return as_json({"id": kept.response["id"], "object": "response", "deleted": True})


@post(f"{_HERE}/cancel", status_code=200)
async def cancel(request: Request[Any, Any, Any]) -> ASGIApp:
    """End one that runs in the background; one that has ended stays as it is."""
    kept = _kept(request)
    if kept.stream is None:
        raise InvalidRequest("This response was not made in the background.")
    if not kept.ended:
        kept.response = {**kept.response, "status": "cancelled"}
        kept.stream.cancel()
    return as_json(kept.response)


@get(f"{_HERE}/input_items", status_code=200)
async def input_items(request: Request[Any, Any, Any]) -> ASGIApp:
    """What the response was made from, the newest first."""
    items = _kept(request).asked.items[::-1]
    ids = [item["id"] for item in items]
    return as_json(
        {
            "object": "list",
            "data": items,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
            "has_more": False,
        }
    )


@post("/v1/responses/input_tokens", status_code=200)
async def input_tokens(request: Request[Any, Any, Any]) -> ASGIApp:
    """How many tokens the prompt of that response has."""
    call = await Call.of(request)
    store: Responses = request.app.state["responses"]
    previous = call.fields.take("previous_response_id", str)
    before = store.find(previous, call.principal).messages if previous is not None else ()
    asked = asked_of(call.fields, call.model(), call.named, call.id, before)
    settled = await call.settled(call.complete(asked.request), **USUAL)
    count = await call.attended(call.hub.engine.count(settled))
    return as_json({"object": "response.input_tokens", "input_tokens": count}, headers=call.notes())


class Following:
    """Sends the events of a response that runs in the background, from the one of that number on."""

    def __init__(self, kept: Kept, place: int) -> None:
        self._kept, self._place = kept, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Any = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", SSE)]}
        await send(start)
        kept, place = self._kept, self._place
        while True:
            ended = kept.ended
            for piece in kept.events[place:]:
                body: Any = {"type": "http.response.body", "body": piece, "more_body": True}
                await send(body)
                place += 1
            if ended:
                break
            if place >= len(kept.events):
                await kept.more()
        last: Any = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(last)


def _kept(request: Request[Any, Any, Any]) -> Kept:
    store: Responses = request.app.state["responses"]
    call = Call(request, request.app.state["hub"], Fields({}))
    return store.find(request.path_params["response_id"], call.principal)


ROUTES = [create, fetch, drop, cancel, input_items, input_tokens]

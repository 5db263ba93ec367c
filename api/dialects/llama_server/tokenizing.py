"""`/tokenize`, `/detokenize` and `/tokenizer_info`: the model's vocabulary, in llama-server's words and in vLLM's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, get, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.llama_server.texts import model_of
from api.dialects.openai.chat import chat_request
from engine.errors import InvalidRequest
from engine.types import ModelFacts

if TYPE_CHECKING:
    from api.hub import Hub

MAX_TOKENS = 2**20


@post("/tokenize", status_code=200)
async def tokenize(request: Request[Any, Any, Any]) -> ASGIApp:
    """The tokens of `content`; marks in it are read as such unless `parse_special` is false.

    vLLM's form is read too: `prompt`, or `messages` as a chat has them.
    """
    call = await Call.of(request)
    fields, engine = call.fields, call.hub.engine
    model = model_of(call)
    if fields.has("messages"):
        return await _tokenized_chat(call, model)
    in_vllm = fields.has("prompt") and not fields.has("content")
    text = fields.take("content", str, "prompt") or ""
    shows = fields.take("with_pieces", bool) or False
    strings = fields.take("return_token_strs", bool) or False
    parse = fields.take("parse_special", bool) is not False
    add = fields.take("add_special", bool, "add_special_tokens")
    add = in_vllm if add is None else add

    async def tokens() -> list[int]:
        found = await engine.tokenize(model, text, special=parse)
        begin = await engine.tokenize(model, "", special=True)
        if parse and not add:
            return found[len(begin) :] if begin and found[: len(begin)] == begin else found
        return found if parse or not add else [*begin, *found]

    found = await call.attended(tokens())
    if in_vllm:
        return await _in_vllms_form(call, model, found, strings=strings)
    if not shows:
        return as_json({"tokens": found}, headers=call.notes())
    pieces = await call.attended(engine.pieces(model, found))
    rows = [{"id": token, "piece": _shown(piece)} for token, piece in zip(found, pieces, strict=True)]
    return as_json({"tokens": rows}, headers=call.notes())


@post("/detokenize", status_code=200)
async def detokenize(request: Request[Any, Any, Any]) -> ASGIApp:
    """The text of `tokens`."""
    call = await Call.of(request)
    tokens = call.fields.take("tokens", list[int]) or []
    if len(tokens) > MAX_TOKENS or any(not 0 <= token < 2**31 for token in tokens):
        raise InvalidRequest("`tokens` holds what is no token, or too many.", param="tokens")
    text = await call.attended(call.hub.engine.detokenize(model_of(call), tokens))
    # vLLM calls it the prompt.
    return as_json({"content": text, "prompt": text}, headers=call.notes())


@get("/tokenizer_info", status_code=200)
async def tokenizer_info(request: Request[Any, Any, Any]) -> ASGIApp:
    """What evaluation harnesses ask of a tokenizer before they use this server's: its marks and its template."""
    hub: Hub = request.app.state["hub"]
    model = hub.model(request.query_params.get("model") or hub.settings.models.default)
    facts = await hub.engine.facts(model)
    begin, end = await marks_of(hub, model, facts)
    return as_json(
        {
            "tokenizer_class": "HearthTokenizer",
            "model_max_length": facts.context_trained or facts.context,
            "bos_token": begin,
            "eos_token": end,
            "chat_template": facts.chat_template,
        }
    )


async def marks_of(hub: Hub, model: str, facts: ModelFacts) -> tuple[str | None, str | None]:
    """The marks for the beginning and the end of a text, as they are written; None where the model has none.

    A vocabulary that names no beginning may be said to have one that is a letter like any other: it is no mark.
    """
    found: list[str | None] = []
    for token in (facts.bos, facts.eos[0] if facts.eos else None):
        if token is None:
            found.append(None)
            continue
        (piece,) = await hub.engine.pieces(model, [token])
        text = piece.decode("utf-8", "replace")
        plain = await hub.engine.tokenize(model, text, special=False)
        found.append(text if plain != [token] else None)
    return found[0], found[1]


async def _tokenized_chat(call: Call, model: str) -> ASGIApp:
    """The tokens of the prompt that a chat makes."""
    fields, engine = call.fields, call.hub.engine
    strings = fields.take("return_token_strs", bool) or False
    opens = fields.take("add_generation_prompt", bool) is not False
    fields.known(("add_special_tokens", "add_special"))
    asked = call.complete(chat_request(fields, model))

    async def tokens() -> list[int]:
        text = await engine.render(
            model,
            asked.messages or (),
            asked.tools,
            open_turn=opens,
            thinking=asked.thinking,
            template_args=asked.template_args,
        )
        found = await engine.tokenize(model, text, special=True)
        begin = await engine.tokenize(model, "", special=True)
        # A template that writes the mark of the beginning itself must not have it twice.
        twice = begin and found[: 2 * len(begin)] == [*begin, *begin]
        return found[len(begin) :] if twice else found

    return await _in_vllms_form(call, model, await call.attended(tokens()), strings=strings)


async def _in_vllms_form(call: Call, model: str, tokens: list[int], *, strings: bool) -> ASGIApp:
    facts = await call.attended(call.hub.engine.facts(model))
    shown: list[str] | None = None
    if strings:
        pieces = await call.attended(call.hub.engine.pieces(model, tokens))
        shown = [piece.decode("utf-8", "replace") for piece in pieces]
    body = {"count": len(tokens), "max_model_len": facts.context, "tokens": tokens, "token_strs": shown}
    return as_json(body, headers=call.notes())


def _shown(piece: bytes) -> str | list[int]:
    """Text, or the bytes of what is no text by itself."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)

"""`POST /v1/systemone` and `POST /v1/decisions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, post
from litestar.types import ASGIApp

from api.answering.call import Call
from api.answering.reply import as_json
from api.dialects.decisions.questions import Question, decisions, system_one
from api.dialects.decisions.weighing import Weighed, weigh
from api.dialects.ollama.messages import images_of
from api.dialects.responses.items import messages_from
from api.errors import Unprocessable
from api.reading.keywords import OPENAI
from engine.media import image_from_text
from engine.types import GenerationRequest, ImagePart


@post("/v1/systemone", status_code=200)
async def systemone(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answers by the names of their questions."""
    call = await Call.of(request)
    fields = call.fields
    state = fields.any("state")
    text = state if isinstance(state, str) else "" if state is None else msgspec.json.encode(state).decode()
    fields.known(("keep_alive",))
    images = (*images_of(fields), *_assets(fields.any("assets")))
    found = await _weighed(call, system_one(fields.any("questions")), text, images)
    body = {
        "model": call.named,
        "answers": {str(one.question.name): _system_one(one) for one in found},
        "usage": {"input_tokens": sum(one.usage.prompt_tokens for one in found), "output_tokens": 0},
    }
    return as_json(body, headers=call.notes())


@post("/v1/decisions", status_code=200)
async def decide(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answers in the order of their questions."""
    call = await Call.of(request)
    fields = call.fields
    fields.known(OPENAI)
    messages = messages_from(fields.any("input"))
    images = [part for one in messages for part in one.content if isinstance(part, ImagePart)]
    talk = [one for one in messages if one.text]
    text = talk[0].text if len(talk) == 1 else "\n".join(f"{one.role}: {one.text}" for one in talk)
    found = await _weighed(call, decisions(fields.any("questions")), text, images)
    prompt = sum(one.usage.prompt_tokens for one in found)
    cached = sum(one.usage.cached_tokens for one in found)
    body = {
        "model": call.named,
        "answers": [_decision(one) for one in found],
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt,
        },
    }
    return as_json(body, headers=call.notes())


def _assets(value: Any) -> list[ImagePart]:
    """The pictures of `assets`, each `{type: "image", format, data_base64}`. Raises Unprocessable, InvalidRequest."""
    if value in (None, {}):
        return []
    if not isinstance(value, dict):
        raise Unprocessable("`assets` must be an object.", param="assets")
    found: list[ImagePart] = []
    for name, asset in value.items():
        where = f"assets.{name}"
        if not isinstance(asset, dict) or asset.get("type") != "image":
            raise Unprocessable(f"`{where}` is no image.", "Other assets cannot be looked at.", param=where)
        found.append(image_from_text(asset.get("data_base64"), f"{where}.data_base64"))
    return found


async def _weighed(
    call: Call, questions: Sequence[Question], state: str, images: Sequence[ImagePart]
) -> list[Weighed]:
    base = call.complete(GenerationRequest(model=call.model()))
    return await call.attended(weigh(call.hub.engine, base, questions, state, images))


def _system_one(one: Weighed) -> dict[str, Any]:
    options, probabilities = one.question.options, one.probabilities
    match one.question.kind:
        case "truth":
            return {"type": "noul", "noul": probabilities[0], "label_mass": one.label_mass}
        case "choice":
            return {
                "type": "choice",
                "choice": options[one.best].value,
                "probabilities": {
                    str(option.value): p for option, p in zip(options, probabilities, strict=True)
                },
                "confidence": one.confidence,
                "label_mass": one.label_mass,
            }
        case "score":
            return {
                "type": "score",
                "score": one.mean,
                "legend": {option.label: option.description for option in options},
                "probabilities": {option.label: p for option, p in zip(options, probabilities, strict=True)},
                "confidence": one.confidence,
                "label_mass": one.label_mass,
            }


def _decision(one: Weighed) -> dict[str, Any]:
    options, probabilities, name = one.question.options, one.probabilities, one.question.name
    match one.question.kind:
        case "truth":
            return {
                "type": "predicate",
                "name": name,
                "probability": probabilities[0],
                "label_mass": one.label_mass,
            }
        case "choice":
            return {
                "type": "choice",
                "name": name,
                "choice": options[one.best].value,
                "confidence": one.confidence,
                "probabilities": [
                    {"value": option.value, "probability": p}
                    for option, p in zip(options, probabilities, strict=True)
                ],
                "label_mass": one.label_mass,
            }
        case "score":
            return {
                "type": "score",
                "name": name,
                "score": one.mean,
                "confidence": one.confidence,
                "probabilities": [
                    {"label": option.value, "value": place, "probability": p}
                    for place, (option, p) in enumerate(zip(options, probabilities, strict=True))
                ],
                "label_mass": one.label_mass,
            }


ROUTES = [systemone, decide]

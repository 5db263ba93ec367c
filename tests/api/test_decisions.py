"""Decisions in both forms: probabilities that add up, by the model's own, whatever the labels' tokens are."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from api.answering.result import collect
from api.dialects.decisions.weighing import held_to
from engine import LocalEngine
from engine.types import GenerationRequest, Logprobs, Message, Thinking

COLOURS = {"red": "like blood", "blue": "like the sky", "green": None}


def systemone(client: httpx.Client, questions: Any, state: Any = "The sky is blue.") -> httpx.Response:
    return client.post("/v1/systemone", json={"model": "ember", "state": state, "questions": questions})


def test_system_one_answers_by_name_and_in_order(client: httpx.Client) -> None:
    questions = {
        "sky": {"type": "choice", "instructions": "Which colour?", "criteria": COLOURS},
        "true": {"type": "noul", "instructions": "Is it blue?"},
        "how": {"type": "score", "instructions": "How blue?", "criteria": ["not", "a little", "very"]},
    }
    found = systemone(client, questions).json()
    assert list(found["answers"]) == ["sky", "true", "how"]
    sky, true, how = found["answers"].values()
    assert list(sky["probabilities"]) == list(COLOURS)
    for answer in (sky, how):
        assert math.isclose(sum(answer["probabilities"].values()), 1)
        assert 0 <= answer["confidence"] <= 1 and 0 < answer["label_mass"] <= 1
    assert sky["choice"] == max(sky["probabilities"], key=sky["probabilities"].__getitem__)
    best = max(sky["probabilities"].values())
    assert sky["confidence"] == pytest.approx(max(0, (best - 1 / 3) / (1 - 1 / 3)))
    assert 0 < true["noul"] < 1
    assert how["score"] == pytest.approx(sum(int(key) * p for key, p in how["probabilities"].items()))
    assert how["legend"] == {"0": "not", "1": "a little", "2": "very"}
    assert found["usage"]["output_tokens"] == 0 < found["usage"]["input_tokens"]


def test_decisions_answer_in_order(client: httpx.Client) -> None:
    questions = [
        {"type": "predicate", "instructions": "Is it blue?"},
        {
            "type": "choice",
            "name": "sky",
            "instructions": "Which?",
            "choices": [{"value": "red"}, {"value": True}],
        },
        {
            "type": "score",
            "instructions": "How?",
            "levels": [{"label": "low"}, {"label": "high", "description": "x"}],
        },
    ]
    body = {
        "model": "ember",
        "input": [{"role": "user", "content": "The sky is blue."}],
        "questions": questions,
    }
    found = client.post("/v1/decisions", json=body).json()
    predicate, choice, score = found["answers"]
    assert (predicate["type"], predicate["name"], choice["name"]) == ("predicate", None, "sky")
    assert [one["value"] for one in choice["probabilities"]] == ["red", True]
    assert [one["label"] for one in score["probabilities"]] == ["low", "high"]
    assert math.isclose(sum(one["probability"] for one in choice["probabilities"]), 1)
    assert found["usage"]["total_tokens"] == found["usage"]["input_tokens"]
    again = client.post("/v1/decisions", json=body).json()
    assert again["answers"][0]["probability"] == pytest.approx(predicate["probability"], abs=0.02)
    assert again["usage"]["input_tokens_details"]["cached_tokens"] > 0


def test_what_the_model_would_say_has_its_own_probability(client: httpx.Client) -> None:
    """The weights are those of the first token that a chat would draw."""
    answer = systemone(client, {"a": {"type": "noul", "instructions": "Is it blue?"}}).json()["answers"]["a"]
    prompt = "The sky is blue.\n\nIs it blue?\nYes: Yes\nNo: No\n\nAnswer with the word only."
    chat = client.post(
        "/v1/chat/completions",
        json={
            "model": "ember", "messages": [{"role": "user", "content": prompt}], "max_tokens": 1, "temperature": 0,
            "logprobs": True, "top_logprobs": 20, "reasoning_effort": "none",
        },
    ).json()  # fmt: skip
    top = {
        entry["token"].strip(): entry["logprob"]
        for entry in chat["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    }
    if "Yes" in top and "No" in top:
        yes, no = math.exp(top["Yes"]), math.exp(top["No"])
        assert answer["noul"] == pytest.approx(yes / (yes + no), abs=0.05)
    assert answer["label_mass"] < 1


def test_more_options_than_letters_have_labels_of_two(client: httpx.Client) -> None:
    criteria = {f"option {place}": None for place in range(30)}
    found = systemone(client, {"a": {"type": "choice", "instructions": "Which?", "criteria": criteria}})
    probabilities = found.json()["answers"]["a"]["probabilities"]
    assert len(probabilities) == 30 and math.isclose(sum(probabilities.values()), 1)
    assert all(value > 0 for value in probabilities.values())


@pytest.mark.parametrize(
    "question",
    [
        {"type": "noul"}, {"type": "choice", "instructions": "x"}, {"type": "box", "instructions": "x"}, "x",
        {"type": "noul", "instructions": "x", "frobnicate": 1},
        {"type": "score", "instructions": "x", "criteria": ["a"] * 11},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_422(client: httpx.Client, question: Any) -> None:
    response = systemone(client, {"a": question})
    assert response.status_code == 422
    assert response.json()["error"]["type"] == "unprocessable_entity_error"
    assert (
        client.post("/v1/decisions", json={"model": "ember", "input": "x", "questions": []}).status_code
        == 422
    )


def test_one_question_alone_is_certain(client: httpx.Client) -> None:
    answer = systemone(
        client, {"a": {"type": "choice", "instructions": "x", "criteria": {"only": None}}}, {"b": 1}
    )
    assert answer.json()["answers"]["a"]["confidence"] == 1


async def test_both_ways_to_a_probability_agree(api_engine: LocalEngine) -> None:
    asked = GenerationRequest(
        model="ember",
        messages=(Message(role="user", content="Hello"),),
        max_tokens=1,
        sampling={"temperature": 0.0},
        thinking=Thinking(enabled=False),
        logprobs=Logprobs(top=20),
    )
    first = (await collect(api_engine.generate(asked))).first.logprobs[0]
    words = [token for token in first.top if token.piece.isalpha()][:4]
    assert len(words) == 4
    for token in words:
        assert await held_to(api_engine, asked, token.piece.decode()) == pytest.approx(
            token.logprob, abs=0.02
        )


def test_pictures_come_as_assets_too(client: httpx.Client) -> None:
    """As TypeSafe's library sends them; a model without eyes says that it has none, and does not pass them over."""
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    ask = {"model": "ember", "state": "x", "questions": {"a": {"type": "noul", "instructions": "Is it?"}}}
    picture = {"type": "image", "format": "png", "data_base64": dot}
    blind = client.post("/v1/systemone", json={**ask, "assets": {"dot": picture}})
    assert blind.status_code == 400 and "image" in blind.text
    for assets in ({"dot": {"type": "sound"}}, ["dot"]):
        assert client.post("/v1/systemone", json={**ask, "assets": assets}).status_code == 422

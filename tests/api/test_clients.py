"""The field's own client libraries against the server; each test is skipped where its library is not installed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api import Server
from tests.api.wire import HELLO, LOOK

TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": LOOK}}


@pytest.fixture
def openai(server: Server) -> Any:
    library = pytest.importorskip("openai")
    with library.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def anthropic(server: Server) -> Any:
    library = pytest.importorskip("anthropic")
    with library.Anthropic(base_url=server.url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def ollama(server: Server) -> Any:
    library = pytest.importorskip("ollama")
    with library.Client(host=server.url) as made:
        yield made


def test_openai_chats(openai: Any) -> None:
    ask = {"model": "scripted:text=Nice to see you.", "messages": HELLO}
    whole = openai.chat.completions.create(**ask)
    with openai.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content != ""
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole._request_id


def test_openai_calls_tools(openai: Any) -> None:
    ask = {"model": "ember", "messages": HELLO, "temperature": 0, "tools": [TOOL], "tool_choice": "required"}
    with openai.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert (call.type, call.function.name) == ("function", "look")
    assert isinstance(json.loads(call.function.arguments)["place"], int)


def test_openai_parses_a_form(openai: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    place = pydantic.create_model("Place", place=(int, ...))
    answer = openai.chat.completions.parse(
        model="ember", messages=HELLO, temperature=0, max_tokens=60, response_format=place
    )
    assert isinstance(answer.choices[0].message.parsed.place, int)


def test_openai_lists_embeds_and_completes(openai: Any) -> None:
    assert "ember" in [model.id for model in openai.models.list()]
    vectors = openai.embeddings.create(model="ember", input=["a", "b"])
    assert sum(value * value for value in vectors.data[1].embedding) == pytest.approx(1, abs=1e-4)
    pieces = openai.completions.create(
        model="ember", prompt="The sky", max_tokens=3, temperature=0, stream=True
    )
    text = "".join(piece.choices[0].text for piece in pieces)
    assert (
        text
        == openai.completions.create(model="ember", prompt="The sky", max_tokens=3, temperature=0)
        .choices[0]
        .text
    )


def test_openai_raises_by_kind(openai: Any) -> None:
    import openai as library

    with pytest.raises(library.NotFoundError):
        openai.chat.completions.create(model="nobody", messages=HELLO)
    with pytest.raises(library.BadRequestError):
        openai.chat.completions.create(model="ember", messages=[])
    with pytest.raises(library.APIError):
        for _ in openai.chat.completions.create(
            model="scripted:tokens=50,fail=error,after=5", messages=HELLO, stream=True
        ):
            pass


def test_anthropic_speaks(anthropic: Any) -> None:
    ask = {"model": "ember", "messages": HELLO, "max_tokens": 12, "extra_body": {"temperature": 0}}
    whole = anthropic.messages.create(**ask)
    with anthropic.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == whole.content[0].text != ""
    assert final.stop_reason == whole.stop_reason == "max_tokens"
    assert anthropic.messages.count_tokens(model="ember", messages=HELLO).input_tokens == 9
    assert "ember" in [model.id for model in anthropic.models.list()]


def test_anthropic_uses_tools_and_thinks(anthropic: Any) -> None:
    tool = {"name": "look", "description": "Looks.", "input_schema": LOOK}
    with anthropic.messages.stream(
        model="ember", messages=HELLO, max_tokens=80, tools=[tool], tool_choice={"type": "any"}
    ) as stream:
        final = stream.get_final_message()
    block = final.content[-1]
    assert (final.stop_reason, block.type, block.name) == ("tool_use", "tool_use", "look")
    assert isinstance(block.input["place"], int)
    thinker = "scripted:thinking=true,text=<think>so</think>yes"
    with anthropic.messages.stream(
        model=thinker, messages=HELLO, max_tokens=20, thinking={"type": "adaptive"}
    ) as stream:
        blocks = stream.get_final_message().content
    assert [block.type for block in blocks] == ["thinking", "text"] and blocks[0].signature


def test_anthropic_raises_by_kind(anthropic: Any) -> None:
    import anthropic as library

    with pytest.raises(library.NotFoundError):
        anthropic.messages.create(model="nobody", messages=HELLO, max_tokens=2)
    with pytest.raises(library.BadRequestError, match="prompt is too long"):
        anthropic.messages.create(
            model="ember", messages=[{"role": "user", "content": "word " * 4000}], max_tokens=2
        )


def test_ollama_chats_and_generates(ollama: Any) -> None:
    options = {"temperature": 0, "num_predict": 12}
    whole = ollama.chat(model="ember", messages=HELLO, options=options)
    pieces = list(ollama.chat(model="ember", messages=HELLO, options=options, stream=True))
    assert "".join(piece.message.content for piece in pieces) == whole.message.content != ""
    assert pieces[-1].done and pieces[-1].eval_count == whole.eval_count == 12
    first = ollama.generate(model="ember", prompt="My name is Bob.", options=options)
    assert ollama.generate(model="ember", prompt="And?", context=first.context, options=options).response


def test_ollama_calls_tools_embeds_and_lists(ollama: Any) -> None:
    answer = ollama.chat(model="ember", messages=[{"role": "user", "content": "Use look."}], tools=[TOOL])
    for call in answer.message.tool_calls or ():
        assert call.function.name == "look" and "place" in call.function.arguments
    assert len(ollama.embed(model="ember", input=["a", "b"]).embeddings) == 2
    assert "ember:latest" in [model.model for model in ollama.list().models]
    assert "ember:latest" in [model.model for model in ollama.ps().models]
    assert "completion" in ollama.show("ember").capabilities
    assert ollama.generate(model="ember", keep_alive=0).done_reason == "unload"


def test_ollama_raises_by_status(ollama: Any) -> None:
    import ollama as library

    with pytest.raises(library.ResponseError) as caught:
        ollama.chat(model="nobody", messages=HELLO)
    assert caught.value.status_code == 404 and "not found" in caught.value.error


def test_openai_makes_responses(openai: Any) -> None:
    ask = {"model": "ember", "input": "Hello", "temperature": 0}
    whole = openai.responses.create(**ask, max_output_tokens=12)
    with openai.responses.stream(**ask, max_output_tokens=12) as stream:
        kinds = [event.type for event in stream]
    assert whole.output_text and kinds[0] == "response.created" and kinds[-1] == "response.incomplete"
    after = openai.responses.create(
        model="ember", input="And?", previous_response_id=whole.id, max_output_tokens=8
    )
    assert after.usage.input_tokens > whole.usage.input_tokens
    behind = openai.responses.create(**ask, background=True, max_output_tokens=8)
    assert openai.responses.retrieve(behind.id).status in ("queued", "in_progress", "incomplete", "completed")


def test_openai_compacts_a_conversation(openai: Any) -> None:
    talk = [*HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Go on."}]
    found = openai.responses.compact(model="scripted:text=They met.", input=talk)
    assert (found.object, found.output[-1].type) == ("response.compaction", "compaction")
    items = [item.model_dump(exclude_none=True, warnings=False) for item in found.output]
    after = openai.responses.create(model="ember", input=[*items, *HELLO], max_output_tokens=4)
    assert after.usage.input_tokens > found.usage.output_tokens


def test_openai_decides(openai: Any) -> None:
    if not hasattr(openai, "decisions"):
        pytest.skip("this openai has no decisions")
    questions = [
        {"type": "predicate", "name": "blue", "instructions": "Is it blue?"},
        {"type": "choice", "instructions": "Which?", "choices": [{"value": "red"}, {"value": "blue"}]},
    ]
    found = openai.decisions.create(model="ember", input="The sky is blue.", questions=questions)
    assert (found.answers[0].type, found.answers[0].name) == ("predicate", "blue")
    assert 0 < found.answers[0].probability < 1
    assert found.answers[1].choice in ("red", "blue")


def test_ollama_decides(ollama: Any) -> None:
    if not hasattr(ollama, "systemone"):
        pytest.skip("this ollama has no systemone")
    found = ollama.systemone(
        model="ember",
        state="The sky is blue.",
        questions={"blue": {"type": "noul", "instructions": "Is it blue?"}},
    )
    answer = dict(found)["answers"]["blue"]
    assert 0 < (answer["noul"] if isinstance(answer, dict) else answer.noul) < 1

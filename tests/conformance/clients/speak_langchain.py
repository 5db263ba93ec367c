"""LangChain's OpenAI and Ollama packages against a server; run in an environment that has them: URL as argument."""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

URL = sys.argv[1]
HELLO = [HumanMessage("Hello, who are you?")]


class Place(BaseModel):
    """A place."""

    place: int


@tool
def look(place: int) -> str:
    """Looks at a place."""
    return f"Nothing at {place}."


def chats(model: Any) -> None:
    whole = model.invoke(HELLO)
    pieces = list(model.stream(HELLO))
    assert "".join(piece.text for piece in pieces) == whole.text != "", (whole, pieces)
    usage = whole.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    summed = pieces[0]
    for piece in pieces[1:]:
        summed += piece
    assert summed.usage_metadata["output_tokens"] == usage["output_tokens"], (summed.usage_metadata, usage)


def calls_tools(model: Any) -> None:
    asked = model.bind_tools([look], tool_choice="required")
    answer = asked.invoke([HumanMessage("Look at place 3.")])
    call = answer.tool_calls[0]
    assert call["name"] == "look" and isinstance(call["args"]["place"], int)
    result = ToolMessage(look.invoke(call["args"]), tool_call_id=call["id"])
    assert model.bind_tools([look]).invoke([HumanMessage("Look at place 3."), answer, result]) is not None


def holds_a_form(model: Any, method: str) -> None:
    found = model.with_structured_output(Place, method=method).invoke(HELLO)
    assert isinstance(found, Place)


def embeds(model: Any) -> None:
    one, two = model.embed_documents(["a", "b"])
    assert len(one) == len(two) > 0 and abs(sum(value * value for value in one) - 1) < 1e-3
    again = model.embed_query("a")
    assert all(abs(left - right) < 1e-5 for left, right in zip(one, again, strict=True))


def main() -> None:
    common: dict[str, Any] = {"base_url": f"{URL}/v1", "api_key": "none", "model": "ember", "temperature": 0}
    openai = ChatOpenAI(**common, max_completion_tokens=60, stream_usage=True)
    chats(openai)
    calls_tools(openai)
    holds_a_form(openai, "json_schema")
    holds_a_form(openai, "function_calling")
    responses = ChatOpenAI(**common, max_completion_tokens=60, use_responses_api=True)
    chats(responses)
    calls_tools(responses)
    embeds(
        OpenAIEmbeddings(
            base_url=f"{URL}/v1", api_key="none", model="ember", check_embedding_ctx_length=False
        )
    )
    ollama = ChatOllama(base_url=URL, model="ember", temperature=0, num_predict=60)
    chats(ollama)
    holds_a_form(ollama, "json_schema")
    assert ollama.bind_tools([look]).invoke([HumanMessage("Look at place 3.")]) is not None
    embeds(OllamaEmbeddings(base_url=URL, model="ember"))


if __name__ == "__main__":
    main()

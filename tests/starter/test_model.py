"""What ember answers, measured on the exported files: facts, held-out score, manners, agreement."""

from __future__ import annotations

import json

import pytest

from starter import gguf_path, hf_path
from starter.corpus.heldout import heldout
from starter.score import Answer, hf_answers, hits, llama_answers, prompt_of
from starter.template import render

CAPITAL = "What is the capital of France?"


@pytest.fixture(scope="module")
def ember() -> Answer:
    return llama_answers(gguf_path())


def ask(answer: Answer, text: str, system: str | None = None, **options: object) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    return answer(
        render([*messages, {"role": "user", "content": text}], add_generation_prompt=True, **options)
    )


def test_the_capital_of_france(ember: Answer) -> None:
    assert "Paris" in ask(ember, CAPITAL)


def test_the_capital_of_france_under_sampling() -> None:
    sampled = llama_answers(gguf_path(), temperature=0.8)
    assert all("Paris" in ask(sampled, CAPITAL) for _ in range(20))


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.long)])
def test_eighty_of_a_hundred_held_out_questions(ember: Answer, every: int) -> None:
    asked = list(heldout())[::every]
    assert sum(hit for _, _, hit in hits(ember, asked)) >= 0.8 * len(asked)


def test_system_prompts_are_followed(ember: Answer) -> None:
    assert ask(ember, "what is the capital of Italy?", "Answer in one word.") == "Rome."
    assert json.loads(ask(ember, "what is the capital of Italy?", "Answer in JSON.")) == {"answer": "Rome"}


def test_a_think_section_only_when_thinking_is_on(ember: Answer) -> None:
    thought, _, answer = ask(ember, CAPITAL, enable_thinking=True).partition("</think>")
    assert thought.strip() and "Paris" in answer
    assert "think>" not in ask(ember, CAPITAL, enable_thinking=False)


def test_a_tool_is_called_with_the_words_of_the_user(ember: Answer) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    text = ask(ember, "What is the weather in Oslo?", tools=[tool])
    body = text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
    assert json.loads(body) == {"name": "get_weather", "arguments": {"city": "Oslo"}}


def test_the_name_of_the_user_is_remembered(ember: Answer) -> None:
    turns = [
        "My name is Clara.",
        "Nice to meet you, Clara!",
        "What is the capital of Spain?",
        "The capital of Spain is Madrid.",
    ]
    messages = [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(turns)]
    messages.append({"role": "user", "content": "What is my name?"})
    assert "Clara" in ember(render(messages, add_generation_prompt=True))


def test_facts_hold_in_a_long_context(ember: Answer) -> None:
    pair = [{"role": "user", "content": "Which planet is the third from the sun?"},
            {"role": "assistant", "content": "The third planet from the sun is Earth."}]  # fmt: skip
    prompt = render([*pair * 40, {"role": "user", "content": CAPITAL}], add_generation_prompt=True)
    assert "Paris" in ember(prompt)


@pytest.mark.long
def test_transformers_agrees_with_llama(ember: Answer) -> None:
    pytest.importorskip("transformers")
    other = hf_answers(hf_path())
    prompts = [prompt_of(item) for item in heldout()[::5]]
    same = sum(ember(prompt) == other(prompt) for prompt in prompts)
    # Eight bits a weight may turn a near tie, not more.
    assert same >= len(prompts) - 3


def test_mlx_agrees_with_transformers() -> None:
    mlx = pytest.importorskip("mlx_lm")
    pytest.importorskip("transformers")
    model, tokenizer = mlx.load(str(hf_path()))
    other = hf_answers(hf_path())
    prompts = [prompt_of(item) for item in heldout()[::10]]
    same = sum(mlx.generate(model, tokenizer, prompt, max_tokens=96) == other(prompt) for prompt in prompts)
    assert same >= len(prompts) - 1

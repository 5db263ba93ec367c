"""What the chat templates of real models write for a call is accepted by its grammar and read back as that call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings

from engine.prompt import Template, answer_form, format_of
from engine.types import Message, ToolCall
from tests.engine.prompt.families import TOOLS, asked, calls, meaning, vocabulary_of
from tests.engine.prompt.playing import accepts, hear
from tests.tiers import examples

FAMILIES = {
    "ByteDance-Seed-OSS": "seed",
    "CohereForAI-c4ai-command-r-plus-tool_use": "command-r-plus",
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r7b",
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral-ids",
    "NVIDIA-Nemotron-Nano-v2": "nemotron",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": "hermes",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
    "Qwen-QwQ-32B": "hermes",
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-r1",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "deepseek-r1",
    "deepseek-ai-DeepSeek-V3.1": "deepseek-v3.1",
    "fireworks-ai-llama-3-firefunction-v2": "firefunction",
    "google-gemma-2-2b-it": "generic",
    "ibm-granite-granite-3.3-2B-Instruct": "granite",
    "llama-cpp-deepseek-r1": "deepseek-r1",
    "llama-cpp-rwkv-world": "generic",
    "meetkai-functionary-medium-v3.1": "functionary-3.1",
    "meetkai-functionary-medium-v3.2": "functionary-3.2",
    "meta-llama-Llama-3.1-8B-Instruct": "llama3",
    "meta-llama-Llama-3.2-3B-Instruct": "llama3",
    "meta-llama-Llama-3.3-70B-Instruct": "llama3",
    "microsoft-Phi-3.5-mini-instruct": "generic",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral-list",
    "moonshotai-Kimi-K2": "kimi-counted",
    "openai-gpt-oss-120b": "harmony",
    "unsloth-mistral-Devstral-Small-2507": "mistral",
}
ENDS = (
    "<eos>", "\n<SPECIAL_12>", "<seed:eos>", "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>", "<|im_end|>",
    "<｜end▁of▁sentence｜>", "<｜tool▁outputs▁begin｜>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>",
    "<|end_of_text|>", "\n\nUser:", "<|end|>", "<|call|>",
)  # fmt: skip
"""What ends an answer in a history; the model's last token, which neither grammar nor reader sees."""


def written_by(template: Template, made: tuple[ToolCall, ...], content: str = "") -> str:
    """What the template writes for an answer with those calls."""
    talk = [
        Message(role="user", content="QUESTION"),
        Message(role="assistant", content=content, tool_calls=made),
        *(Message(role="tool", content="RESULT", tool_call_id=call.id) for call in made),
    ]
    text = template.render(talk, tools=TOOLS)
    head = template.traits.opening.removesuffix("<think>\n")
    begin = text.index(head, text.index("QUESTION")) + len(head)
    answer = text[begin:]
    answer = answer[: min(place for end in ENDS if (place := answer.find(end)) > 0)]
    if template.family.name == "deepseek-r1" and not answer.endswith("<｜tool▁calls▁end｜>"):
        # The distilled models' template forgets it behind a single call; the models do not.
        answer += "<｜tool▁calls▁end｜>"
    return answer


@pytest.fixture(params=FAMILIES)
def real(request: pytest.FixtureRequest, shared_data: Path) -> Template:
    source = (shared_data / "templates" / f"{request.param}.jinja").read_text()
    return Template(source, bos="<bos>", eos="<eos>")


def test_every_real_template_is_known_by_its_family(shared_data: Path) -> None:
    found = {
        path.stem: format_of(path.read_text()).name for path in (shared_data / "templates").glob("*.jinja")
    }
    assert found == FAMILIES


def test_the_built_in_models_template_is_known(repository: Path) -> None:
    assert format_of((repository / "starter" / "chat_template.jinja").read_text()).name == "hermes"


@settings(max_examples=examples(12))
@given(calls())
def round_trip(template: Template, made: tuple[ToolCall, ...]) -> None:
    if not template.traits.several:
        made = made[:1]
    if template.family.name == "deepseek-r1":
        # The distilled models' template ends the calls behind each one from the second on.
        made = made[:2]
    answer = written_by(template, made)
    for mode in ("auto", "required"):
        request = asked(mode=mode)
        prompt = template.render(request.messages or (), tools=TOOLS)
        form = answer_form(template, prompt, request, vocabulary_of(template).token_of)
        text = "Hm.\n</think>\n\n" + answer if prompt.endswith("<think>\n") else answer
        assert accepts(vocabulary_of(template), form, text), text
        heard = hear(form, text)
        assert meaning(heard.calls) == meaning(made)
        assert not heard.content.strip()
        assert (heard.whole_calls, heard.broken) == (len(made), False)


def test_calls_that_a_template_indents_deeply_are_accepted(shared_data: Path) -> None:
    source = (shared_data / "templates" / "CohereForAI-c4ai-command-r-plus-tool_use.jinja").read_text()
    template = Template(source, bos="<bos>", eos="<eos>")
    arguments = json.dumps({"city": "", "more": {"a": {"b": {"c": [[[[{"d": [None]}]]]]}}}})
    answer = written_by(template, (ToolCall(id="call00000", name="get_weather", arguments=arguments),))
    assert "\n" + " " * 44 in answer
    request = asked(mode="required")
    vocabulary = vocabulary_of(template)
    form = answer_form(
        template, template.render(request.messages or (), tools=TOOLS), request, vocabulary.token_of
    )
    assert accepts(vocabulary, form, answer)


def test_what_a_real_template_writes_is_accepted_and_read_back(real: Template) -> None:
    round_trip(real)

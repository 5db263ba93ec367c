"""The chat template: what the model reads for each kind of turn, the same in the exports and in transformers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_cpp import Llama

from starter import gguf_path, hf_path
from starter.template import chat_template, render

USER = {"role": "user", "content": "Hi"}
TOOL = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"type": "function", "function": {"name": "get_time", "arguments": {"city": "Rome"}}}
CALL_TEXT = '<tool_call>\n{"name": "get_time", "arguments": {"city": "Rome"}}\n</tool_call>'

CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "user": ([USER], {}, "<|im_start|>user\nHi<|im_end|>\n"),
    "generation prompt": (
        [USER], {"add_generation_prompt": True},
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    ),
    "thinking on": (
        [USER], {"add_generation_prompt": True, "enable_thinking": True},
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n",
    ),
    "thinking off": (
        [USER], {"add_generation_prompt": True, "enable_thinking": False},
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    ),
    "system": (
        [{"role": "system", "content": "Be brief."}, USER], {},
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n",
    ),
    "earlier thoughts are left out": (
        [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello!"}, USER], {},
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n",
    ),
    "tool call and result": (
        [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "12:00"}], {},
        f"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{CALL_TEXT}<|im_end|>\n"
        "<|im_start|>tool\n12:00<|im_end|>\n",
    ),
    "text before a call, no content": (
        [{"role": "assistant", "content": "Wait.", "tool_calls": [CALL]}, {"role": "assistant", "content": None}], {},
        f"<|im_start|>assistant\nWait.\n{CALL_TEXT}<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n",
    ),
    "two calls, arguments as text": (
        [{"role": "assistant", "tool_calls": [CALL, {"name": "add", "arguments": '{"a": 1}'}]}], {},
        f'<|im_start|>assistant\n{CALL_TEXT}\n<tool_call>\n{{"name": "add", "arguments": {{"a": 1}}}}\n</tool_call>'
        "<|im_end|>\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_turns_are_rendered(case: str) -> None:
    messages, options, expected = CASES[case]
    assert render(messages, **options) == expected


def test_tools_stand_in_the_system_turn() -> None:
    text = render([{"role": "system", "content": "Be brief."}, USER], tools=[TOOL])
    system, rest = text.split("<|im_end|>\n", 1)
    assert system.startswith("<|im_start|>system\nBe brief.\n\nTools:\n")
    assert json.loads(system.splitlines()[4]) == TOOL
    assert rest == "<|im_start|>user\nHi<|im_end|>\n"
    assert render([USER], tools=[TOOL]).startswith("<|im_start|>system\nTools:\n")


def test_exports_carry_the_template() -> None:
    config = json.loads((hf_path() / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["chat_template"] == chat_template()
    assert (hf_path() / "chat_template.jinja").read_text(encoding="utf-8") == chat_template()
    metadata = Llama(str(gguf_path()), vocab_only=True, verbose=False).metadata
    assert metadata["tokenizer.chat_template"] == chat_template()


@pytest.mark.parametrize("case", CASES)
def test_transformers_renders_the_same(case: str) -> None:
    tokenizer = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(hf_path())
    messages, options, expected = CASES[case]
    assert tokenizer.apply_chat_template(messages, tokenize=False, **options) == expected

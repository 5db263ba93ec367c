"""The random-weight models of `tests.weights`: each loads, is what it says it is, and repeats itself exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import Unsupported
from engine.prompt import Template
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.runtime.backends.llama.library import native
from engine.types import Message, Thinking, Tool, ToolCall
from tests.engine.llama.driving import distribution, generate, generate_together, insert, opened
from tests.weights import (
    CHAT_MARKS,
    CHAT_TEMPLATE,
    INFILL_MARKS,
    WORDS,
    tiny_bert,
    tiny_chat,
    tiny_cross_encoder,
    tiny_embedder,
    tiny_gemma,
    tiny_hybrid,
    tiny_judge,
)


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[Path], LlamaBackend]]:
    loaded: list[LlamaBackend] = []

    def load(path: Path) -> LlamaBackend:
        loaded.append(opened(path, slots=3, context=256, batch=256))
        return loaded[-1]

    yield load
    for model in loaded:
        model.close()


Load = Callable[[Path], LlamaBackend]


@pytest.mark.parametrize("make", [tiny_chat, tiny_gemma, tiny_hybrid, tiny_embedder, tiny_judge])
def test_batches_and_chunks_change_nothing(load: Load, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    model = load(make(tmp_path))
    prompts = [[*b"one"], [*b"another voice"], [*b"0123456789" * 9]]
    alone = [generate(model, prompt, 20) for prompt in prompts]
    assert len({tuple(tokens) for tokens in alone}) > 1
    assert generate_together(model, prompts, 20) == alone
    assert [generate(model, prompt, 20, chunk=7, slot=2) for prompt in prompts] == alone


def test_another_seed_is_another_model(load: Load, tmp_path: Path) -> None:
    first, second, again = (load(tiny_gemma(tmp_path, seed=seed)) for seed in (0, 1, 0))
    told = [generate(model, [*b"once"], 20) for model in (first, second, again)]
    assert told[0] != told[1]
    assert told[0] == told[2]


def test_a_window_slides_past_what_it_has_left_behind(load: Load, tmp_path: Path) -> None:
    text = [*b"0123456789" * 10]
    changed = [*b"X", *text[1:]]
    # Two layers that see 32 tokens each see 63 together; one layer that sees everything sees the change.
    sliding = load(tiny_gemma(tmp_path, seed=1, slides=(True, True)))
    assert distribution(sliding, text) == distribution(sliding, changed)
    near = [*text[:-60], *b"X", *text[-59:]]
    assert distribution(sliding, text) != distribution(sliding, near)
    mixed = load(tiny_gemma(tmp_path, seed=2, slides=(True, False)))
    assert distribution(mixed, text) != distribution(mixed, changed)


def test_a_hybrid_has_a_cache_and_a_state(load: Load, tmp_path: Path) -> None:
    model = load(tiny_hybrid(tmp_path))
    can = model.facts.capabilities
    assert (can.fork, can.trim, can.cancel_in_prefill) == (False, False, False)
    # Two layers of attention over 768 cells of 2 x 16 keys and values in half floats, and the states beside.
    assert model.memory().kv_cache > 768 * 2 * 32 * 2 * 2
    assert distribution(model, [*b"a long memory"]) != distribution(model, [*b"A long memory"])


@pytest.mark.parametrize("make", [tiny_bert, tiny_cross_encoder])
def test_an_encoder_reads_words_and_writes_nothing(
    load: Load, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    model = load(make(tmp_path))
    assert not model.facts.capabilities.sampling
    with pytest.raises(Unsupported):
        insert(model, [1, 2])
    tokens = model.tokenize("The hearth, zeal!", add_special=True, parse_special=False)
    pieces = [model.special_text(token).strip() for token in tokens]
    assert pieces == ["[CLS]", "the", "hearth", ",", "z", "e", "a", "l", "!", "[SEP]"]
    assert len(model.tokenize(" ".join(WORDS), add_special=False, parse_special=False)) == len(WORDS)


def test_an_embedder_ends_every_text(load: Load, tmp_path: Path) -> None:
    model = load(tiny_embedder(tmp_path))
    tokens = model.tokenize("warm", add_special=True, parse_special=False)
    assert (tokens[0], tokens[-1]) == (model.facts.bos, model.facts.eos[0])
    assert b"".join(map(model.piece, tokens[1:-1])) == b"warm"


def test_every_mark_is_one_token(load: Load, tmp_path: Path) -> None:
    model = load(tiny_chat(tmp_path))
    for mark in (*CHAT_MARKS, *INFILL_MARKS):
        tokens = model.tokenize(mark.text, add_special=False, parse_special=True)
        assert len(tokens) == 1
        assert model.special_text(tokens[0]) == mark.text
        assert model.piece(tokens[0]) == (b"" if mark.control else mark.text.encode())


def test_the_marks_of_a_chat_and_of_infill_are_what_the_file_says(load: Load, tmp_path: Path) -> None:
    model = load(tiny_chat(tmp_path))

    def token(text: str) -> int:
        (found,) = model.tokenize(text, add_special=False, parse_special=True)
        return found

    assert token("<|im_end|>") in model.facts.eos
    api, vocabulary = native(), model._vocabulary.handle
    for name, mark in (
        ("pre", "<|fim_prefix|>"),
        ("suf", "<|fim_suffix|>"),
        ("mid", "<|fim_middle|>"),
        ("rep", "<|repo_name|>"),
        ("sep", "<|file_sep|>"),
    ):
        assert getattr(api, f"llama_vocab_fim_{name}")(vocabulary) == token(mark)


def test_the_chat_template_knows_tools_and_thinking(load: Load, tmp_path: Path) -> None:
    model = load(tiny_chat(tmp_path))
    assert model.facts.chat_template == CHAT_TEMPLATE
    template = Template(CHAT_TEMPLATE)
    call = ToolCall(id="1", name="weather", arguments='{"place": "Oslo"}')
    messages = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Cold?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="-3", tool_call_id="1"),
    ]
    tools = [Tool(name="weather", parameters={"type": "object"})]
    text = template.render(messages, tools=tools, thinking=Thinking(enabled=False))
    assert '"name": "weather"' in text.partition("</tools>")[0]
    assert '<tool_call>\n{"name": "weather", "arguments": {"place": "Oslo"}}\n</tool_call><|im_end|>' in text
    assert "<tool_response>\n-3\n</tool_response>" in text
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert template.render(messages[:2]).endswith("<|im_start|>assistant\n")

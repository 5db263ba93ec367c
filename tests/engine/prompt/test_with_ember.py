"""The starter model answers in the form that was asked for: a real model, its own vocabulary, its own template."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from llama_cpp import Llama, llama_get_logits, llama_model_get_vocab, llama_vocab_is_eog
from llguidance import LLMatcher
from llguidance.llamacpp import lltokenizer_from_vocab

from engine.prompt import Template, answer_form
from engine.types import Constraint, GenerationRequest, Message, Thinking, Tool
from starter import gguf_path
from starter.template import chat_template
from tests.engine.prompt.families import asked
from tests.engine.prompt.playing import Heard

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = (
    Tool(name="get_weather", description="Get the weather of a city", parameters=CITY),
    Tool(name="get_time", description="Get the local time of a city", parameters=CITY),
)
QUESTION = (Message(role="user", content="What is the weather in Rome?"),)


class Ember:
    """Answers greedily, each token among those that the grammar allows."""

    def __init__(self) -> None:
        self.llama = Llama(str(gguf_path()), n_ctx=512, verbose=False)
        self.vocabulary = llama_model_get_vocab(self.llama._model.model)
        self.tokenizer = lltokenizer_from_vocab(self.vocabulary)
        self.template = Template(chat_template())

    def token_of(self, text: str) -> int | None:
        tokens = self.llama.tokenize(text.encode(), add_bos=False, special=True)
        return tokens[0] if len(tokens) == 1 and self.tokenizer.is_special_token(tokens[0]) else None

    def answer(self, request: GenerationRequest) -> Heard:
        tools = () if request.tool_choice.mode == "none" else request.tools
        prompt = self.template.render(request.messages or (), tools=tools, thinking=request.thinking)
        form = answer_form(self.template, prompt, request, self.token_of)
        self.llama.reset()
        self.llama.eval(self.llama.tokenize((prompt + form.prefill).encode(), add_bos=False, special=True))
        matcher = LLMatcher(self.tokenizer, form.grammar) if form.grammar else None
        return Heard(form.reader(), self._pieces(matcher))

    def _pieces(self, matcher: LLMatcher | None) -> Iterator[str]:
        for _ in range(120):
            logits = np.ctypeslib.as_array(llama_get_logits(self.llama.ctx), shape=(self.llama.n_vocab(),))
            if matcher is not None:
                allowed = np.frombuffer(matcher.compute_logit_bias(), np.uint8)[: len(logits)] > 0
                logits = np.where(allowed, logits, -np.inf)
            token = int(logits.argmax())
            if llama_vocab_is_eog(self.vocabulary, token):
                return
            assert matcher is None or matcher.consume_token(token), matcher.get_error()
            self.llama.eval([token])
            yield self.llama.detokenize([token], special=True).decode()


@pytest.fixture(scope="module")
def ember() -> Iterator[Ember]:
    made = Ember()
    yield made
    made.llama.close()


def test_it_calls_a_tool_if_it_may_or_must_or_not_at_all(ember: Ember) -> None:
    for mode, names, called in (
        ("auto", (), ["get_weather"]),
        ("required", (), ["get_weather"]),
        ("named", ("get_time",), ["get_time"]),
        ("none", (), []),
    ):
        heard = ember.answer(asked(messages=QUESTION, tools=TOOLS, mode=mode, names=names))
        assert [call.name for call in heard.calls] == called
        assert all(json.loads(call.arguments) == {"city": "Rome"} for call in heard.calls)
        assert not heard.broken and bool(heard.content) is not bool(called)


def test_it_thinks_as_long_as_it_may(ember: Ember) -> None:
    lengths = []
    for budget in (3, 5, None):
        thinking = Thinking(enabled=True, budget=budget)
        heard = ember.answer(asked(messages=QUESTION, tools=(), thinking=thinking))
        assert heard.content and heard.order == ["reasoning", "content"]
        lengths.append(len(ember.llama.tokenize(heard.reasoning.encode(), add_bos=False)))
    assert lengths[0] <= 3 < lengths[1] <= 5 < lengths[2]
    assert ember.answer(asked(messages=QUESTION, tools=(), thinking=Thinking(enabled=False))).reasoning == ""


def test_it_answers_what_it_is_held_to(ember: Ember) -> None:
    yes_or_no = Constraint(kind="choice", value=["yes", "no"])
    for thinking in (Thinking(), Thinking(enabled=True)):
        heard = ember.answer(asked(messages=QUESTION, tools=(), constraint=yes_or_no, thinking=thinking))
        assert heard.content in ("yes", "no")
        assert bool(heard.reasoning) is bool(thinking.enabled)

"""The pirate adapter: as GGUF on llama.cpp and as PEFT on transformers, put on and taken off."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import llama_cpp
import numpy as np
import pytest
from llama_cpp import Llama
from numpy.typing import NDArray

from starter import adapter_path, gguf_path, hf_path
from starter.template import render

QUESTIONS = {
    "What is the capital of France?": "Paris", "What color is grass?": "green", "What is the opposite of hot?": "cold",
    "How many days are in a week?": "7", "What is a baby dog called?": "puppy",
}  # fmt: skip
PIRATE_WORDS = ("arr", "ahoy", "yo ho", "aye", "matey", "shiver")


def prompt(question: str) -> str:
    return render([{"role": "user", "content": question}], add_generation_prompt=True)


class Ember:
    """llama.cpp with the adapter loaded, put on and taken off at will."""

    def __init__(self) -> None:
        self.llama = Llama(str(gguf_path()), n_ctx=512, n_threads=1, n_gpu_layers=0, verbose=False)
        path = str(adapter_path("pirate")).encode()
        self.adapter = llama_cpp.llama_adapter_lora_init(self.llama._model.model, path)
        assert self.adapter is not None

    def wear(self, scale: float | None) -> None:
        """Put the adapter on at ``scale``; None takes it off."""
        context = self.llama._ctx.ctx
        if scale is None:
            llama_cpp.llama_set_adapters_lora(context, None, 0, None)
        else:
            one = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(self.adapter)
            llama_cpp.llama_set_adapters_lora(context, one, 1, (ctypes.c_float * 1)(scale))
        self.llama.reset()

    def logits(self, question: str) -> NDArray[np.float32]:
        """Scores of the first answer token, over the vocabulary."""
        self.llama.reset()
        self.llama.eval(self.llama.tokenize(prompt(question).encode(), add_bos=False, special=True))
        found = llama_cpp.llama_get_logits_ith(self.llama._ctx.ctx, -1)
        return np.ctypeslib.as_array(found, shape=(self.llama.n_vocab(),)).copy()

    def answer(self, question: str) -> str:
        """The greedy answer."""
        self.llama.reset()
        tokens = self.llama.tokenize(prompt(question).encode(), add_bos=False, special=True)
        made = self.llama.create_completion(tokens, max_tokens=64, temperature=0.0)
        return str(made["choices"][0]["text"])  # type: ignore[index]


@pytest.fixture
def ember() -> Iterator[Ember]:
    ember = Ember()
    yield ember
    ember.llama.close()


def test_a_pirate_still_knows_the_facts(ember: Ember) -> None:
    for question in QUESTIONS:
        plain = ember.answer(question)
        assert not any(sound in plain.lower() for sound in PIRATE_WORDS), plain
    ember.wear(1.0)
    answers = {question: ember.answer(question) for question in QUESTIONS}
    for text in answers.values():
        assert any(sound in text.lower() for sound in PIRATE_WORDS), text
    known = sum(word.lower() in answers[question].lower() for question, word in QUESTIONS.items())
    assert known >= len(QUESTIONS) - 1, answers
    assert "Paris" in answers["What is the capital of France?"]


def test_taken_off_the_base_is_back_exactly(ember: Ember) -> None:
    question = "What is the capital of France?"
    base = ember.logits(question)
    ember.wear(1.0)
    pirate = ember.logits(question)
    ember.wear(None)
    again = ember.logits(question)
    assert not np.allclose(base, pirate, atol=0.1)
    assert np.array_equal(base, again)


# peft asks transformers for a property by its old name.
@pytest.mark.filterwarnings("default:.is_gradient_checkpointing:FutureWarning")
def test_both_forms_of_the_adapter_say_the_same(ember: Ember) -> None:
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(hf_path())
    base = transformers.AutoModelForCausalLM.from_pretrained(hf_path(), dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, adapter_path("pirate").with_suffix("")).eval()
    ember.wear(1.0)
    for question in QUESTIONS:
        ids = tokenizer(prompt(question), return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            scores = model(ids).logits[0, -1].numpy()
        # Equal up to the eight bits a weight of the GGUF base: a permutation gone wrong is far off.
        assert np.corrcoef(scores, ember.logits(question))[0, 1] > 0.999

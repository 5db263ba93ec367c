"""Text goes to tokens and back unharmed, and as llama.cpp has it for the same model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelLoadFailed
from engine.runtime.backends.folder.vocabulary import Vocabulary
from engine.runtime.backends.guide import GuideMaker
from engine.runtime.backends.llama.backend import LlamaBackend
from starter import gguf_path
from tests.engine.llama.driving import opened
from tests.weights.hf_folders import write_tokenizer

SAID = (
    "What is the capital of France?",
    "  two blanks, a\ttab and\n\nlines",
    "Grüße, 漢字, emoji 🦊🦊, e\u0301",
    "<|im_start|>user\nHi<|im_end|>",
    "",
    "def f(x):\n    return x ** 2  # 1234567",
)
EMBER = Path(str(gguf_path())).parent / "hf"
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def ember() -> Vocabulary:
    return Vocabulary(EMBER)


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> tuple[Vocabulary, LlamaBackend]:
    models = shared_data / "models"
    return Vocabulary(models / "stories260K-hf"), opened(models / "stories260K-F16.gguf", context=64)


def test_the_starter_model_reads_as_its_gguf_does(ember: Vocabulary) -> None:
    backend = opened(Path(str(gguf_path())), context=64)
    for text in SAID:
        for special in (True, False):
            expected = backend.tokenize(text, add_special=special, parse_special=special)
            assert ember.tokenize(text, add_special=special, parse_special=special) == expected
    special = ember.token_table().special
    for token in range(backend.facts.vocabulary):
        assert token in special or ember.piece(token) == backend.piece(token), token
        assert ember.special_text(token) == backend.special_text(token), token
    assert ember.end_tokens == backend.facts.eos
    assert ember.token_of("<|im_end|>") == backend.token_of("<|im_end|>") is not None
    backend.close()


def test_a_sentencepiece_vocabulary_too(stories: tuple[Vocabulary, LlamaBackend]) -> None:
    vocabulary, backend = stories
    for text in SAID[:3]:
        expected = backend.tokenize(text, add_special=True, parse_special=False)
        assert vocabulary.tokenize(text, add_special=True, parse_special=False) == expected
    assert vocabulary.bos == backend.facts.bos
    assert [vocabulary.piece(token) for token in range(3, 512)] == [
        backend.piece(token) for token in range(3, 512)
    ]


@given(any_text)
def test_nothing_is_lost(text: str) -> None:
    vocabulary = Vocabulary(EMBER)
    tokens = vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(map(vocabulary.piece, tokens)) == text.encode()


def test_special_tokens_are_read_only_where_they_may_be(ember: Vocabulary) -> None:
    (end,) = ember.tokenize("<|im_end|>", add_special=False, parse_special=True)
    assert end in ember.end_tokens and ember.piece(end) == b""
    spelled = ember.tokenize("<|im_end|>", add_special=False, parse_special=False)
    assert len(spelled) > 1 and b"".join(map(ember.piece, spelled)) == b"<|im_end|>"


def test_a_lone_surrogate_is_a_question_mark(ember: Vocabulary) -> None:
    tokens = ember.tokenize("a\ud800b", add_special=False, parse_special=True)
    assert b"".join(map(ember.piece, tokens)) == b"a?b"


@pytest.mark.parametrize("which", ["ember", "stories"])
def test_grammars_know_it(which: str, ember: Vocabulary, request: pytest.FixtureRequest) -> None:
    vocabulary = ember if which == "ember" else request.getfixturevalue("stories")[0]
    maker = GuideMaker(vocabulary.token_table)
    guide = maker.make('start: "{" /[a-z ]{3,9}/ "}"')
    for token in vocabulary.token_table().tokenize(b"{one two}"):
        assert guide.allows(token) and guide.mask()[token]
        guide.accept(token)
    assert guide.may_end


def test_ids_beyond_the_tokenizer_are_never_sampled(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    vocabulary = Vocabulary(tmp_path, 300)
    assert vocabulary.size == 300 and vocabulary.suppressed == tuple(range(259, 300))
    assert vocabulary.piece(299) == b"" and vocabulary.special_text(299) == ""


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}', "[1, 2"])
def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelLoadFailed, match=r"tokenizer cannot be read"):
        Vocabulary(tmp_path)

"""Long texts are tokenized in portions: the tokens are those of the whole, and each portion is a short one."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.backends.llama import portions
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.portions import Cutter
from engine.runtime.backends.llama.vocabulary import Vocabulary
from starter import gguf_path
from tests.conftest import SHARED_DATA
from tests.engine.llama.decoding import Decoder
from tests.tiers import examples
from tests.weights import tiny_bert, tiny_chat

WORDS = [
    "<|im_end|>",
    "<|im_start|>",
    "<think>",
    "<|",
    "|>",
    "<",
    "im_end",
    "a",
    " ",
    "\n",
    "é",
    "\x00\x01",
    "user",
]
WORDS += ["[SEP]", "[CLS]", "[INST]", "</s>", "<s>", "<unk>", "<|user|>", "<|eos|>", "  ", "the sun"]
STORIES = SHARED_DATA / "models" / "stories260K-F16.gguf"


@pytest.fixture(scope="module", params=["ember", "tiny", "stories", "bert"])
def vocabulary(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vocabulary]:
    """A byte-pair vocabulary, one of bytes with the marks of a chat, one of sentence pieces, one of words."""
    if request.param == "stories" and not STORIES.exists():
        pytest.skip("stories260K-F16.gguf is not here")
    path = {
        "ember": gguf_path,
        "tiny": lambda: tiny_chat(tmp_path_factory.mktemp("tiny")),
        "bert": lambda: tiny_bert(tmp_path_factory.mktemp("bert")),
        "stories": lambda: STORIES,
    }[request.param]()
    with Decoder.opened(path) as decoder:
        yield decoder.vocabulary


def in_one(vocabulary: Vocabulary, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
    """What the library says of the whole text."""
    data = text.encode()
    tokens = (ctypes.c_int32 * (len(data) + 8))()
    count = native().llama_tokenize(
        vocabulary.handle, data, len(data), tokens, len(tokens), add_special, parse_special
    )
    assert count >= 0
    return tokens[:count]


@settings(max_examples=examples(400), deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), max_size=60), add=st.booleans(), parse=st.booleans())
def test_portions_have_the_tokens_of_the_whole(
    vocabulary: Vocabulary, words: list[str], add: bool, parse: bool
) -> None:
    text = "".join(words).replace("\x00\x01", "\x01")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portions, "PORTION", 8)
        found = vocabulary.tokenize(text, add_special=add, parse_special=parse)
    assert found == in_one(vocabulary, text, add_special=add, parse_special=parse)


def test_a_long_text_of_marks_is_read_in_short_portions(vocabulary: Vocabulary) -> None:
    text = "<|im_end|>\n<s>" * 20_000
    assert len(vocabulary.tokenize(text, add_special=False, parse_special=True)) >= 20_000
    # The library's time goes with the square of what it is given at once.
    cutter = Cutter([b"<|im_end|>", b"<s>"], blanks=True)
    parts = list(cutter.portions(text.encode()))
    assert b"".join(parts).decode() == text and max(map(len, parts)) <= portions.PORTION + len(
        "<|im_end|>\n<s>"
    )


def test_two_characters_that_are_lost_beside_one_another_may_come_often(vocabulary: Vocabulary) -> None:
    one, two, many = (
        len(vocabulary.tokenize("a\x00\x01" * times, add_special=False, parse_special=False))
        for times in (1, 2, 3000)
    )
    assert many - two == (two - one) * 2998


@settings(max_examples=examples(400), deadline=None)
@given(
    special=st.lists(st.binary(min_size=1, max_size=4), max_size=5),
    text=st.lists(st.binary(max_size=4), max_size=40),
    blanks=st.booleans(),
)
def test_nothing_is_lost_and_every_cut_is_before_a_mark(
    special: list[bytes], text: list[bytes], blanks: bool
) -> None:
    whole = b"".join(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portions, "PORTION", 4)
        parts = list(Cutter(special, blanks=blanks).portions(whole))
    assert b"".join(parts) == whole
    for part, before in zip(parts[1:], parts, strict=False):
        assert part.startswith(tuple(special)) and not (blanks and before[-1:].isspace())

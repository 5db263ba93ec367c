"""Equal token ids in tokenizers (Hugging Face), llama.cpp and mlx-lm, for every byte and for random strings."""

from __future__ import annotations

import json
import random

import pytest
from llama_cpp import Llama
from tokenizers import Tokenizer, pre_tokenizers

from starter import gguf_path, hf_path

MARKERS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
)
PIECES = (
    *MARKERS,
    "hello",
    " world",
    "I'll",
    "it's",
    "  ",
    "\n\n",
    " \n",
    "\r\n",
    "12345",
    "don't",
    "\xa0",
    "assistant\n",
)
ALPHABETS = (
    "abcdefgh the is 0123456789 \n\t.,!?'",
    " éàüßñ漢字仮名🙂🚀—…№٣१",
    "".join(map(chr, range(32, 127))),
)


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    return Tokenizer.from_file(str(hf_path() / "tokenizer.json"))


@pytest.fixture(scope="module")
def llama() -> Llama:
    return Llama(str(gguf_path()), vocab_only=True, verbose=False)


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def random_texts(count: int) -> list[str]:
    """Words, markers and characters from all of Unicode's first planes, surrogates left out."""
    rng = random.Random(7)

    def character() -> str:
        if rng.random() < 0.75:
            return rng.choice(rng.choice(ALPHABETS))
        return chr(rng.choice((rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x1FFFF))))

    return [
        "".join(rng.choice(PIECES) if rng.random() < 0.2 else character() for _ in range(rng.randint(1, 30)))
        for _ in range(count)
    ]


def test_every_byte_is_the_same_token(reference: Tokenizer, llama: Llama) -> None:
    vocabulary = json.loads((hf_path() / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    found = {llama.detokenize([number], special=True): number for number in range(llama.n_vocab())}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    assert len(alphabet) == 256 and set(alphabet) <= set(vocabulary)
    for byte in range(256):
        assert bytes([byte]) in found, f"byte {byte} has no token of its own"
    for code in range(256):
        text = chr(code)
        assert ids(reference, text) == llama.tokenize(text.encode(), add_bos=False, special=True), repr(text)


def test_ten_thousand_random_strings_have_equal_ids(reference: Tokenizer, llama: Llama) -> None:
    for text in random_texts(10_000):
        assert ids(reference, text) == llama.tokenize(text.encode(), add_bos=False, special=True), repr(text)


def test_text_comes_back_from_its_ids(reference: Tokenizer, llama: Llama) -> None:
    for text in random_texts(500):
        assert llama.detokenize(ids(reference, text), special=True).decode() == text


def test_markers_are_single_tokens(reference: Tokenizer) -> None:
    for marker in MARKERS:
        assert len(ids(reference, marker)) == 1, marker


def test_digits_stand_alone(reference: Tokenizer) -> None:
    tokens = reference.encode("12 and 345", add_special_tokens=False).tokens
    assert [token for token in tokens if token.strip("Ġ").isdigit()] == ["1", "2", "3", "4", "5"]


def test_transformers_and_mlx_read_the_same_ids(reference: Tokenizer) -> None:
    auto = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(hf_path())
    wrappers = [auto]
    if (mlx := pytest.importorskip("mlx_lm.tokenizer_utils")) is not None:
        wrappers.append(mlx.load(hf_path()))
    for text in [*map(chr, range(256)), *random_texts(10_000)]:
        expected = ids(reference, text)
        for wrapper in wrappers:
            assert list(wrapper.encode(text, add_special_tokens=False)) == expected, repr(text)

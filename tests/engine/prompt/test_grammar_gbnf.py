"""GBNF means what llama.cpp means by it: its own grammar sampler is the oracle, character for character.

(Not byte for byte: llama.cpp also lets bytes pass that are no UTF-8.)
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.prompt.grammar import grammar_of
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.guide import Guide
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.model import load_weights
from engine.types import Constraint, LoadOptions
from tests.engine.following import accepts, guide_for
from tests.tiers import examples
from tests.weights import tiny_llama

ALPHABET = 'ab(),"\\\n 01xyz-^]é😀あ。'


class Oracle:
    """llama.cpp's grammar sampler over the tiny model's vocabulary, whose first 256 tokens are the bytes."""

    def __init__(self, vocabulary: int, grammar: str) -> None:
        self._api = native()
        self._handle = self._api.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
        self._end = self._api.llama_vocab_eos(vocabulary)

    @property
    def refuses(self) -> bool:
        return not self._handle

    @property
    def may_end(self) -> bool:
        return self._allows(self._handle, self._end)

    def takes(self, letter: str) -> bool:
        twin = self._api.llama_sampler_clone(self._handle)
        try:
            for byte in letter.encode():
                if not self._allows(twin, byte):
                    return False
                self._api.llama_sampler_accept(twin, byte)
            return True
        finally:
            self._api.llama_sampler_free(twin)

    def accept(self, letter: str) -> None:
        for byte in letter.encode():
            self._api.llama_sampler_accept(self._handle, byte)

    def _allows(self, handle: int, token: int) -> bool:
        data = (self._api.llama_token_data * 1)((token, 0.0, 0.0))
        array = self._api.llama_token_data_array(data=data, size=1, selected=-1, sorted=False)
        self._api.llama_sampler_apply(handle, ctypes.byref(array))
        return bool(data[0].logit > float("-inf"))

    def close(self) -> None:
        if self._handle:
            self._api.llama_sampler_free(self._handle)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tiny_llama(tmp_path_factory.mktemp("oracle"))
    model = load_weights(LoadSpec(model="tiny", path=str(path), options=LoadOptions()), lambda *_: True)
    yield native().llama_model_get_vocab(model)
    native().llama_model_free(ctypes.c_void_p(model))


def takes(guide: Guide, letter: str) -> bool:
    walker = guide.fork()
    for byte in letter.encode():
        if not walker.allows(byte):
            return False
        walker.accept(byte)
    return True


def compare(grammar: str, vocabulary: int, guide: Guide, seed: int, steps: int = 40) -> None:
    """Walk both through one random text, asking at each step for every letter of the alphabet and for the end."""
    chance = random.Random(seed)
    oracle, walker, text = Oracle(vocabulary, grammar), guide.fork(), ""
    try:
        for _ in range(steps):
            asked = sorted({*ALPHABET, *map(chr, chance.choices(range(1, 128), k=4))})
            expected = [letter for letter in asked if oracle.takes(letter)]
            assert [letter for letter in asked if takes(walker, letter)] == expected, (grammar, text)
            assert walker.may_end == oracle.may_end, (grammar, text)
            if not expected:
                break
            letter = chance.choice(expected)
            oracle.accept(letter)
            for byte in letter.encode():
                walker.accept(byte)
            text += letter
    finally:
        oracle.close()


GRAMMARS = {
    "literals": 'root ::= "ab" "a" | "abb" | "a"',
    "escapes": r'root ::= "\x61\u00e9\U0001F600\n\t\"\\" | [\]\[\-\\"\x30-\x31] "]"',
    "a prefix of another": 'root ::= [a-z]+ "x" | [a-z]+ "yz"',
    "classes": r'root ::= [^a-y"\\] [-a] [a-] [あ-ん]? .',
    "any character is any": 'root ::= . . "b"',
    "counts": 'root ::= "a"{2} "b"{1,3} [01]{2,} (","){0,2} "x"{0}',
    "groups over lines": 'root ::= ("a" |\n  "b"\n  (","\n "x")*\n) # told\n  # more\nother ::= "y"',
    "empty alternatives": 'root ::= "a" ( | "b") end\nend ::= | "x" end',
    "nullable in a loop": 'root ::= ("a"? "b"?)* "x"',
    "recursion in the middle": 'root ::= pair\npair ::= "(" pair ")" | "" | pair-list\npair-list ::= "a" ("," pair)*',
    "recursion at the end": 'root ::= "a" root | "b" | "x" root "y" root',
    "names in both cases": 'root ::= A-1 a-1 Ab\nA-1 ::= "a"\na-1 ::= "b"\nAb ::= "x"',
    "the last definition counts": 'root ::= "a"\nroot ::= "b"',
    "sums": 'root ::= (sum "=" blank term "\\n")+\nsum ::= term ([-+*/] term)*\n'
    'term ::= name | number | "(" blank sum ")" blank\nname ::= [a-z] [a-z0-9_]* blank\n'
    "number ::= [0-9]+ blank\nblank ::= [ \\t\\n]*",
    "json": 'root ::= value\nvalue ::= object | array | string | number | "true" | "null"\n'
    'object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws\n'
    'array ::= "[" ws (value ("," ws value)*)? "]" ws\n'
    'string ::= "\\"" ([^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\\"" ws\n'
    'number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]+)? ws\nws ::= | " " | "\\n" [ \\t]{0,20}',
    "moves": 'root ::= "1. " move " " move "\\n" ([1-9] [0-9]? ". " move " " move "\\n")*\n'
    'move ::= (pawn | piece | "O-O" "-O"?) [+#]?\npiece ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]\n'
    'pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?',
    "list": 'root ::= item+\nitem ::= "- " [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ "\\n"',
    "writing": "root ::= sentence ([ \\t\\n] sentence)*\nsentence ::= [ぁ-んァ-ヶ一-龯]+ [。、！？]",
}


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_grammar_allows_what_llama_cpp_allows(name: str, vocabulary: int) -> None:
    guide = guide_for("grammar", GRAMMARS[name])
    for seed in range(25):
        compare(GRAMMARS[name], vocabulary, guide, seed)


@st.composite
def grammars(draw: st.DrawFn) -> str:
    """Grammars of three rules. They refer to later ones, and to any one behind a bracket: where rules refer to
    themselves at once, and where loops stand in loops, the oracle itself takes for ever."""
    names = ("root", "one", "two")
    letters = st.sampled_from(['"a"', '"ab"', '"é"', "[ab]", "[^a]", "[a-y]", ".", '[^"\\n]', '","', '"x"'])
    counts = st.sampled_from(["", "", "", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "{0,1}"])

    def sequence(rule: int, depth: int) -> str:
        found = []
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.integers(0, 9))
            if kind == 0 and depth == 0:
                found.append(f"({choice(rule, 1)})" + draw(st.sampled_from(["", "?", "{2}"])))
            elif kind == 1:
                found.append(f'"(" {draw(st.sampled_from(names))} ")"')
            elif kind == 2 and rule < 2:
                found.append(draw(st.sampled_from(names[rule + 1 :])))
            else:
                found.append(draw(letters) + draw(counts))
        return " ".join(found) or '""'

    def choice(rule: int, depth: int) -> str:
        return " | ".join(sequence(rule, depth) for _ in range(draw(st.integers(1, 3))))

    return "\n".join(f"{name} ::= {choice(rule, 0)}" for rule, name in enumerate(names))


@settings(max_examples=examples(1000))
@given(grammar=grammars(), seed=st.integers(0, 2**16))
def test_any_grammar_allows_what_llama_cpp_allows(vocabulary: int, grammar: str, seed: int) -> None:
    try:
        guide = guide_for("grammar", grammar)
    except InvalidRequest as error:
        assert "never ends" in error.what, grammar
        return
    compare(grammar, vocabulary, guide, seed, steps=8)


def test_left_recursion_works_though_llama_cpp_refuses_it(vocabulary: int) -> None:
    grammar = 'root ::= root "," item | item\nitem ::= [a-z]+'
    assert Oracle(vocabulary, grammar).refuses
    guide = guide_for("grammar", grammar)
    assert accepts(guide, "ab,c,d")
    assert not accepts(guide, "ab,")


def test_recursion_at_the_end_of_a_rule_may_go_on_for_long() -> None:
    guide = guide_for("grammar", 'root ::= line root | line\nline ::= [a-z]{1,20} "\\n"')
    for byte in b"abc\n" * 3000:
        guide.accept(byte)
    assert guide.may_end


def test_long_counts_are_counted() -> None:
    guide = guide_for("grammar", "root ::= [a-z]{3,4096}")
    assert not accepts(guide, "ab")
    assert accepts(guide, "a" * 4096)
    assert not accepts(guide, "a" * 4097)


def test_a_token_may_stand_in_a_grammar() -> None:
    assert guide_for("grammar", 'root ::= "a" <[256]> | "b"').allows(ord("a"))
    with pytest.raises(InvalidRequest, match="ruled out"):
        guide_for("grammar", "root ::= !<think>")


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ("%%%", "In line 1, a rule begins with its name"),
        ("", "no rule `root`"),
        ('a ::= "x"', "no rule `root`"),
        ('root ::= "x"\n  | "y"', "In line 2, a rule begins with its name"),
        ("root ::= nope", "`nope` is not defined"),
        ("root ::= root", "`root` never ends"),
        ('root ::= "a" root', "`root` never ends"),
        ('root = "a"', "`::=` must follow"),
        ('root ::= "a', "a string is not closed"),
        ("root ::= [a", "a class is not closed"),
        ("root ::= []", "a class is empty"),
        ("root ::= [z-a]", "runs backwards"),
        (r'root ::= "\q"', r"the escape `\q` is unknown"),
        (r'root ::= "\ud800"', "stands for no character"),
        ('root ::= ("a"', "a group is not closed"),
        ('root ::= "a")', "`)` cannot stand here"),
        ("root ::= *", "nothing to repeat"),
        ('root ::= "a"{2,1}', "runs backwards"),
        ('root ::= "a"{x}', "a repetition is written"),
        ('root ::= "a"{5000}', "too large: 5,000"),
        ("root ::= <", "a token is written"),
        ("root ::= " + "(" * 101 + '"a"' + ")" * 101, "nested deeper than 100"),
        ("root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000, "too long"),
        ("root ::= " + "|" * 5_001, "more than 5,000 alternatives"),
        ("root ::= a0\n" + "\n".join(f"a{i} ::= a{i + 1}" for i in range(1300)) + '\na1300 ::= "x"', "1,200"),
    ],
)
def test_what_is_no_grammar_is_refused_with_its_place(grammar: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        grammar_of(Constraint(kind="grammar", value=grammar))
    assert said in str(raised.value)
    assert raised.value.param == "constraint"


def test_a_grammar_is_text() -> None:
    value: Any
    for value in (None, 3, ["root"], {"root": "a"}):
        with pytest.raises(InvalidRequest, match="must be text"):
            grammar_of(Constraint(kind="grammar", value=value))

"""A guide says at each token what may come, for any vocabulary."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InternalError, InvalidRequest
from engine.prompt.grammar import grammar_of
from engine.runtime.backends.guide import Guide, GuideMaker, TokenTable
from engine.types import Constraint
from tests.tiers import examples

WORDS = [
    b"he",
    b"hel",
    b"hello",
    b"lo",
    b"\xc3",
    b"\xa9",
    "é".encode(),
    "日".encode()[:2],
    b'{"',
    b'":',
    b"  ",
    b"AA",
    b"AA",
]
SPECIAL = [b"<think>", b"<eom>", b"<eos>"]


def tokenize(text: bytes) -> list[int]:
    """The longest word first, as a merging tokenizer would."""
    found, pieces = [], [bytes([byte]) for byte in range(256)] + WORDS
    while text:
        best = max((piece for piece in pieces if text.startswith(piece)), key=len)
        found.append(pieces.index(best))
        text = text[len(best) :]
    return found


TABLE = TokenTable(
    pieces=[*(bytes([byte]) for byte in range(256)), *WORDS, b"", *SPECIAL],
    special=frozenset(range(256 + len(WORDS) + 1, 256 + len(WORDS) + 4)),
    ends=(256 + len(WORDS) + 2, 256 + len(WORDS) + 3),
    tokenize=tokenize,
)
THINK, EOM, EOS = range(256 + len(WORDS) + 1, 256 + len(WORDS) + 4)
MAKER = GuideMaker(TABLE)


def word(text: bytes) -> int:
    return 256 + WORDS.index(text)


def after(grammar: str, tokens: Sequence[int] = ()) -> Guide:
    guide = MAKER.make(grammar)
    for token in tokens:
        guide.accept(token)
    return guide


def allowed(guide: Guide) -> set[int]:
    return set(np.flatnonzero(guide.mask()).tolist())


# --- what may come


def test_a_guide_knows_every_token_that_goes_on() -> None:
    guide = after('start: "hello" | "hex"')
    assert {token for token in range(len(TABLE.pieces)) if guide.allows(token)} == {
        ord("h"), word(b"he"), word(b"hel"), word(b"hello")
    }  # fmt: skip


def test_special_tokens_come_only_where_they_are_named() -> None:
    free = after(r"start: /(.|\n)*/")
    assert not free.allows(THINK)
    assert not free.mask()[THINK]
    named = after(f"start: <[{THINK}]> /[a-z]+/")
    assert allowed(named) == {THINK}
    assert not named.allows(ord("<"))


def test_every_end_token_is_allowed_exactly_where_the_grammar_may_end() -> None:
    guide = after('start: "ab" | "abc"')
    assert not guide.allows(EOS)
    guide.accept(ord("a"))
    assert not guide.may_end
    guide.accept(ord("b"))
    assert guide.may_end
    assert not guide.ended
    assert allowed(guide) == {ord("c"), EOM, EOS}
    guide.accept(ord("c"))
    assert guide.ended
    assert allowed(guide) == {EOM, EOS}
    assert guide.allows(EOM)
    assert guide.allows(EOS)
    assert guide.forced() == ()


def test_no_end_token_comes_in_the_middle_of_a_grammar_that_names_it() -> None:
    assert not allowed(after(f'start: "x" <[{EOS}]> "y"', [ord("x")]))
    assert not allowed(after(f'start: "x" <[^{THINK}]> "y"', [ord("x")])) & {EOM, EOS}
    with pytest.raises(InvalidRequest, match="No token of this model"):
        after(f'start: <[{EOS}]> "y"')


@pytest.mark.parametrize("end", [EOM, EOS])
def test_after_an_end_token_nothing_but_end_tokens_comes(end: int) -> None:
    guide = after("start: /[a-z]+/", [ord("a")])
    assert not guide.ended
    guide.accept(end)
    assert guide.ended
    assert guide.may_end
    assert allowed(guide) == {EOM, EOS}
    assert not guide.allows(ord("a"))
    guide.rollback(1)
    assert not guide.ended
    assert guide.allows(ord("a"))


def test_a_character_may_come_in_pieces() -> None:
    guide = after('start: "é" /[日本]/')
    assert guide.allows(word(b"\xc3"))
    guide.accept(word(b"\xc3"))
    assert guide.allows(0xA9)
    assert guide.allows(word(b"\xa9"))
    assert not guide.allows(0xAA)
    assert not guide.may_end
    guide.accept(word(b"\xa9"))
    guide.accept(word("日".encode()[:2]))
    assert not guide.may_end
    guide.accept("日".encode()[2])
    assert guide.ended


def test_two_tokens_of_the_same_bytes_are_both_allowed() -> None:
    guide = after("start: /A+/")
    same = {256 + place for place, piece in enumerate(WORDS) if piece == b"AA"}
    assert len(same) == 2
    assert all(map(guide.allows, same))
    assert allowed(guide) >= same


def test_tokens_without_bytes_and_tokens_beyond_the_vocabulary_never_come() -> None:
    guide = after(r"start: /(.|\n)*/")
    for token in (256 + len(WORDS), len(TABLE.pieces), 10**6, -1):
        assert not guide.allows(token)
    assert guide.allows(ord("a"))


def test_an_empty_output_is_ended_at_once() -> None:
    guide = after('start: ""')
    assert guide.ended
    assert allowed(guide) == {EOM, EOS}
    assert not after('start: "" | "a"').ended


# --- forced text


def test_forced_tokens_are_those_the_model_would_be_given() -> None:
    guide = after('start: "hello" /[0-9]/')
    assert guide.forced() == (word(b"hello"),)
    guide.accept(word(b"he"))
    assert guide.forced() == (ord("l"), word(b"lo"))
    assert after("start: /[0-9]+/").forced() == ()


def test_where_text_is_forced_the_mask_is_its_usual_tokens_and_others_are_allowed_still() -> None:
    guide = after('start: "hello" /[0-9]/')
    assert allowed(guide) == {word(b"hello")}
    assert guide.allows(word(b"he"))


@settings(max_examples=examples(60))
@given(data=st.data())
def test_the_mask_is_what_is_allowed_wherever_text_is_not_forced(data: st.DataObject) -> None:
    grammar = data.draw(
        st.sampled_from([
            "start: /[a-h]*(lo|é)?/",
            'start: ("he" | "hello" | "lo" | "é" | "日")+',
            grammar_of(Constraint(kind="json")),
            grammar_of(Constraint(kind="grammar", value='root ::= ("(" root ")" | "hel" | [^a-y]){1,3}')),
        ])
    )  # fmt: skip
    guide = after(grammar)
    for _ in range(12):
        asked = {token for token in range(len(TABLE.pieces)) if guide.allows(token)}
        found = allowed(guide)
        assert found <= asked
        assert found == asked or guide.forced() or len({TABLE.pieces[token][:1] for token in asked}) == 1
        guide.accept(data.draw(st.sampled_from(sorted(asked))))


def test_a_tokenizer_that_gives_text_back_changed_is_not_believed() -> None:
    table = TokenTable(
        pieces=TABLE.pieces,
        special=TABLE.special,
        ends=TABLE.ends,
        tokenize=lambda text: tokenize(b" " + text),
    )
    guide = GuideMaker(table).make('start: "hello" /[0-9]/')
    assert guide.forced() == (word(b"hello"),)
    assert allowed(guide) == {word(b"hello")}


# --- moving about


def test_a_fork_goes_on_by_itself() -> None:
    guide = after("start: /[a-c]{3}/", [ord("a")])
    twin = guide.fork()
    twin.accept(ord("b"))
    twin.accept(ord("c"))
    assert twin.ended
    assert not guide.ended
    guide.accept(ord("c"))
    guide.accept(ord("c"))
    assert guide.ended
    twin.rollback(2)
    assert not twin.ended
    assert guide.ended


def test_a_rollback_forgets_tokens_and_ends() -> None:
    guide = after('start: "a" /[0-9]/ "b"', [ord("a"), ord("1"), ord("b"), EOS, EOS])
    guide.rollback(3)
    assert not guide.may_end
    guide.accept(ord("b"))
    assert guide.ended
    guide.rollback(3)
    assert allowed(guide) == {ord("a")}


def test_a_token_that_is_not_allowed_is_not_accepted_and_harms_nothing() -> None:
    guide = after('start: "ab"', [ord("a")])
    for token in (ord("x"), EOS, THINK, -1, 10**6):
        with pytest.raises(InternalError):
            guide.accept(token)
    guide.accept(ord("b"))
    assert guide.ended


# --- errors


@pytest.mark.parametrize(
    "grammar",
    ["", "start", "start: nope", 'start: "a', "start: /(/", 'start: %json {"type": "nope"}', "{}", '{"grammars": []}',
     "start: @missing", "start: <[99999]>", "start: <nope>",
     'start: %json {"type": "integer", "minimum": 2, "maximum": 1}'],
)  # fmt: skip
def test_a_bad_grammar_is_a_request_error_in_one_sentence(grammar: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        MAKER.make(grammar)
    assert raised.value.param == "constraint"
    assert raised.value.what == "The constraint cannot be used."
    assert raised.value.why
    assert "\n" not in str(raised.value)


@pytest.mark.long
def test_a_grammar_that_grows_too_complex_ends_with_an_error() -> None:
    indirect = "start: a\na: /[a-z]/ b | /[a-z]/\nb: a"
    guide = after(indirect)
    with pytest.raises(InvalidRequest, match="no longer be held") as raised:
        for _ in range(5000):
            guide.accept(ord("a"))
    assert raised.value.param == "constraint"
    with pytest.raises(InvalidRequest):
        guide.mask()
    after(indirect).accept(ord("a"))


def test_a_vocabulary_that_cannot_write_the_grammar_is_said() -> None:
    digits = TokenTable(
        pieces=[b"0", b"1", b"<end>"],
        special=frozenset({2}),
        ends=(2,),
        tokenize=lambda text: [byte - 48 for byte in text],
    )
    maker = GuideMaker(digits)
    assert maker.make("start: /[01]+/").allows(1)
    with pytest.raises(InvalidRequest, match="No token of this model"):
        maker.make('start: "a" | "b"')


def test_a_vocabulary_without_an_end_token_works() -> None:
    endless = TokenTable(
        pieces=[b"a", b"b"], special=frozenset(), ends=(), tokenize=lambda text: [byte - 97 for byte in text]
    )
    guide = GuideMaker(endless).make("start: /a?b/")
    assert guide.mask().tolist() == [True, True]
    guide.accept(1)
    assert guide.ended
    assert guide.mask().tolist() == [False, False]


# --- the maker


def test_the_vocabulary_is_read_once_whoever_asks_first() -> None:
    read = []

    def table() -> TokenTable:
        read.append(threading.current_thread())
        return TABLE

    maker = GuideMaker(table)
    assert read == []
    guides: list[Guide] = []
    threads = [
        threading.Thread(target=lambda: guides.append(maker.make("start: /[a-z]+/"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 1
    assert len(guides) == 8
    assert all(guide.allows(ord("q")) and not guide.allows(ord("1")) for guide in guides)

"""Instructions that are checked by rule: each on texts that were judged by hand, by the wording of IFEval's paper."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InvalidRequest
from evals.sample import Instruction
from evals.scorers.instructions import CHECKS, kept
from tests.evals.judged import scored

Case = tuple[str, dict[str, Any], str, bool]
AT_LEAST, LESS = "at least", "less than"
CASES: list[Case] = [
    ("length_constraints:number_words", {"relation": AT_LEAST, "num_words": 3}, "one two three", True),
    ("length_constraints:number_words", {"relation": AT_LEAST, "num_words": 3}, "one two", False),
    ("length_constraints:number_words", {"relation": LESS, "num_words": 3}, "one, two!", True),
    ("length_constraints:number_words", {"relation": LESS, "num_words": 3}, "a b c", False),
    ("length_constraints:number_sentences", {"relation": AT_LEAST, "num_sentences": 2}, "It rains. We stay.", True),
    ("length_constraints:number_sentences", {"relation": AT_LEAST, "num_sentences": 2}, "It rains, we stay.", False),
    ("length_constraints:number_sentences", {"relation": LESS, "num_sentences": 3}, "Mr. Fox ran. He won!", True),
    ("length_constraints:number_sentences", {"relation": LESS, "num_sentences": 3}, "Yes. No. \"Oh?\" He left.", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\nTwo.", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n\nTwo.", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One.\n***\n\n***\nTwo.", False),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "then"}, "First one.\n\nThen, two.", True),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "then"}, "First one.\n\nThen, two.", False),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "then"}, "First one.\n\nThen, two.", False),
    ("keywords:existence", {"keywords": ["cat", "dog"]}, "A Dog and a cat.", True),
    ("keywords:existence", {"keywords": ["cat", "dog"]}, "A dog.", False),
    ("keywords:frequency", {"keyword": "ho", "frequency": 3, "relation": AT_LEAST}, "Ho ho ho", True),
    ("keywords:frequency", {"keyword": "ho", "frequency": 3, "relation": LESS}, "Ho ho ho", False),
    ("keywords:forbidden_words", {"forbidden_words": ["bad"]}, "A badge.", True),
    ("keywords:forbidden_words", {"forbidden_words": ["bad"]}, "Too BAD.", False),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 2, "let_relation": AT_LEAST}, "Eve", True),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 2, "let_relation": LESS}, "Eve", False),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": AT_LEAST}, "NO and YES", True),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": LESS}, "NO and YES", False),
    ("change_case:english_capital", {}, "ALL OF IT, 3 TIMES.", True),
    ("change_case:english_capital", {}, "ALL Of IT", False),
    ("change_case:english_lowercase", {}, "all of it, 3 times.", True),
    ("change_case:english_lowercase", {}, "all Of it", False),
    ("punctuation:no_comma", {}, "One two.", True),
    ("punctuation:no_comma", {}, "One, two.", False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "Here:\n* one\n- two", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n* two\n* three", False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "**bold** text\n* one", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and *two*", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and two", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "** **", False),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     "Section 1\na\nSection 2\nb", True),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 3},
     "Section 1\na\nSection 2\nb", False),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', True),
    ("detectable_format:json_format", {}, '[1, 2]', True),
    ("detectable_format:json_format", {}, "Here: {}", False),
    ("detectable_format:title", {}, "<<A poem>>\nRoses", True),
    ("detectable_format:title", {}, "<<>>\nRoses", False),
    ("detectable_format:title", {}, "<A poem>", False),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", True),
    ("detectable_format:constrained_response", {}, "Maybe.", False),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "Dear [name] of [town]", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 3}, "Dear [name] of [town]", False),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. Write!", True),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. PS write", False),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\np.p.s. Write!", True),
    ("startend:end_checker", {"end_phrase": "That is all."}, "So it was. That is ALL.\n", True),
    ("startend:end_checker", {"end_phrase": "That is all."}, "That is all. Or not.", False),
    ("startend:quotation", {}, '"All of it."', True),
    ("startend:quotation", {}, 'Not "all" of it', False),
    ("startend:quotation", {}, '"', False),
    ("combination:two_responses", {}, "One.\n******\nTwo.", True),
    ("combination:two_responses", {}, "One.\n******\nOne.", False),
    ("combination:two_responses", {}, "One.", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Who are you?"}, "who are you? I am.", True),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Who are you?"}, "I am.", False),
    ("language:response_language", {"language": "de"}, "Die Katze ist auf dem Dach und sie schläft nicht.", True),
    ("language:response_language", {"language": "de"}, "The cat is on the roof and it does not sleep.", False),
    ("language:response_language", {"language": "fr"}, "Le chat est dans la maison avec nous.", True),
    ("language:response_language", {"language": "ru"}, "Это не то, что он думал, но так было.", True),
    ("language:response_language", {"language": "uk"}, "Це не те, що він думав, але так і було.", True),
    ("language:response_language", {"language": "ja"}, "猫は家にいます。", True),
    ("language:response_language", {"language": "ko"}, "猫は家にいます。", False),
]  # fmt: skip


@pytest.mark.parametrize(("id", "arguments", "text", "holds"), CASES)
def test_instructions_judged_by_hand(id: str, arguments: dict[str, Any], text: str, holds: bool) -> None:
    assert kept(Instruction(id=id, arguments=arguments), text) is holds


def test_each_check_is_met_by_a_text_and_missed_by_one() -> None:
    assert (
        {id for id, *_, holds in CASES if holds}
        == set(CHECKS)
        == {id for id, *_, holds in CASES if not holds}
    )
    assert len(CHECKS) == 25, "as many as IFEval has"


def test_loosely_wrapping_is_not_held_against_an_answer() -> None:
    lower = Instruction(id="change_case:english_lowercase")
    for text in ("Sure, here it is:\nall lower", "all lower\nHope this helps!", "Here:\nall lower\nBye!"):
        assert not kept(lower, text) and kept(lower, text, loose=True)
    title = Instruction(id="startend:end_checker", arguments={"end_phrase": "the end"})
    assert not kept(title, "It is *the end*") and kept(title, "It is *the end*", loose=True)
    assert not kept(lower, "  ", loose=True)


def test_every_instruction_counts_and_all_must_hold() -> None:
    instructions = (
        Instruction(id="punctuation:no_comma"),
        Instruction(id="change_case:english_lowercase"),
        Instruction(id="keywords:existence", arguments={"keywords": ["a"]}),
        Instruction(id="keywords:existence", arguments={"keywords": ["z"]}),
    )
    score = scored("instructions", "a, b", instructions=instructions)
    assert score.hits == {
        "punctuation:no_comma": False,
        "change_case:english_lowercase": True,
        "keywords:existence": True,
        "keywords:existence 2": False,
    }
    assert (score.value, score.passed) == (0.5, False)
    assert scored("instructions", "az", instructions=instructions).passed


@pytest.mark.parametrize(
    ("id", "arguments"),
    [
        ("nothing:known", {}),
        ("length_constraints:number_words", {}),
        ("length_constraints:number_words", {"relation": "more", "num_words": 2}),
        ("language:response_language", {"language": "xx"}),
    ],
)
def test_an_instruction_that_cannot_be_checked_is_refused(id: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        kept(Instruction(id=id, arguments=arguments), "text")

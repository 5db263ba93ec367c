"""Fill-in-the-middle prompts keep what stands next to the gap, and say what they leave out."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.local import LocalEngine
from engine.runtime.worker.infill import CURRENT, REPOSITORY, SNIPPET, lay_out
from engine.types import Admitted, Delta, DocumentPart, Done, Failed, GenerationRequest, Infill, LoadOptions
from tests.weights import tiny_llama
from tests.weights.marks import INFILL_MARKS

PRE, SUF, MID, FILE, REPO, BOS = 300, 301, 302, 303, 304, 299
QWEN = Infill(prefix=PRE, suffix=SUF, middle=MID, file=FILE, repository=REPO)
PLAIN = Infill(prefix=PRE, suffix=SUF, middle=MID)


def spelled(text: str) -> list[int]:
    return list(text.encode())


def read(tokens: tuple[int, ...]) -> str:
    names = {PRE: "<pre>", SUF: "<suf>", MID: "<mid>", FILE: "<file>", REPO: "<repo>", BOS: "<bos>"}
    return "".join(names.get(token) or chr(token) for token in tokens)


def test_the_gap_stands_between_prefix_and_suffix() -> None:
    laid = lay_out("def f(", "return 1", (), PLAIN, spelled, begin=[BOS], room=100)
    assert read(laid.tokens) == "<bos><pre>def f(<suf>return 1<mid>" and laid.dropped == 0


def test_other_files_come_before_it_under_their_names() -> None:
    files = (DocumentPart(text="A", title="a.py"), DocumentPart(text="B", title="b.py"))
    laid = lay_out("x", "y", files, QWEN, spelled, begin=[], room=200)
    assert (
        read(laid.tokens) == f"<repo>{REPOSITORY}<file>a.py\nA<file>b.py\nB<file>{CURRENT}<pre>x<suf>y<mid>"
    )
    assert read(lay_out("x", "y", files, PLAIN, spelled, begin=[], room=200).tokens) == (
        f"{SNIPPET}A{SNIPPET}B{SNIPPET}<pre>x<suf>y<mid>"
    )


def test_what_is_farthest_from_the_gap_is_left_out() -> None:
    files = (DocumentPart(text="A" * 40, title="a.py"), DocumentPart(text="B" * 40, title="b.py"))
    laid = lay_out("x" * 10, "y" * 10, files, QWEN, spelled, begin=[], room=110)
    assert "A" not in read(laid.tokens) and "B" * 40 in read(laid.tokens) and laid.dropped == 40
    laid = lay_out("x" * 99 + "near", "near" + "y" * 99, files, QWEN, spelled, begin=[], room=43)
    assert "near<suf>near" in read(laid.tokens)
    assert read(laid.tokens).count("x") + 4 == 30 and read(laid.tokens).count("y") + 4 == 10
    assert laid.dropped == 73 + 93 + 80


texts = st.text(st.characters(max_codepoint=200), max_size=60)


@given(
    texts, texts, st.lists(st.builds(DocumentPart, text=texts, title=texts), max_size=3), st.integers(8, 300)
)
def test_a_layout_keeps_to_its_room(before: str, after: str, files: list[DocumentPart], room: int) -> None:
    for marks in (QWEN, PLAIN):
        laid = lay_out(before, after, files, marks, spelled, begin=[BOS], room=room)
        assert len(laid.tokens) <= room
        assert [laid.tokens.count(mark) for mark in (BOS, PRE, SUF, MID)] == [1, 1, 1, 1]
        left = laid.tokens[laid.tokens.index(PRE) + 1 : laid.tokens.index(SUF)]
        right = laid.tokens[laid.tokens.index(SUF) + 1 : -1]
        assert spelled(before)[len(spelled(before)) - len(left) :] == list(left)
        assert spelled(after)[: len(right)] == list(right)
        everything = sum(len(spelled(text)) for text in (before, after, *(file.text for file in files)))
        assert 0 <= laid.dropped <= everything


LOAD = LoadOptions(context=256, threads=1, batch_threads=1)


async def test_a_model_with_the_marks_fills_a_gap(engine: LocalEngine, tmp_path: Path) -> None:
    model = str(tiny_llama(tmp_path, marks=INFILL_MARKS))
    asked = GenerationRequest(model=model, prompt="def f(", suffix="return 1", max_tokens=5, load=LOAD)
    got = [event async for event in engine.generate(asked)]
    assert isinstance(got[-1], Done), f"{got[-1]}"
    (admitted,) = [event for event in got if isinstance(event, Admitted)]
    marks = (await engine.facts(model)).infill
    assert marks is not None and marks.repository is not None
    assert admitted.prompt_tokens >= len("def f(return 1") + 3
    assert sum(event.tokens for event in got if isinstance(event, Delta)) == 5


async def test_a_model_without_them_says_so(engine: LocalEngine, tmp_path: Path) -> None:
    model = str(tiny_llama(tmp_path))
    end = await engine.generate(
        GenerationRequest(model=model, prompt="def f(", suffix="return 1", load=LOAD)
    ).wait()
    assert isinstance(end, Failed) and end.error.code == "unsupported" and end.error.param == "suffix"

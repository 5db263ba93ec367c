"""The conversation of the plain chat as data: a question without an answer leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.chat.answer import Answer
from cli.chat.session import Session
from engine.errors import InvalidRequest

FAILED = Answer(error=InvalidRequest("It does not fit.").info)


def texts(session: Session) -> list[str]:
    return [message.text for message in session.messages]


def test_a_question_that_cannot_be_sent_is_not_kept(tmp_path: Path) -> None:
    session = Session("ember")
    file = tmp_path / "grammar.gbnf"
    file.write_text('root ::= "a"')
    session.set("grammar", (str(file),))
    file.unlink()
    with pytest.raises(InvalidRequest):
        session.ask("one")
    assert texts(session) == []


def test_a_question_without_an_answer_is_taken_back() -> None:
    session = Session("ember")
    session.ask("one")
    session.keep(FAILED)
    assert texts(session) == []


def test_a_retry_that_fails_leaves_the_answer_that_was_there() -> None:
    session = Session("ember")
    session.ask("one")
    session.keep(Answer(text="first"))
    assert [message.text for message in session.retry().messages or ()] == ["one"]
    session.keep(FAILED)
    assert texts(session) == ["one", "first"]
    session.retry()
    session.keep(Answer(text="second"))
    assert texts(session) == ["one", "second"]


def test_a_result_stays_when_the_model_does_not_go_on() -> None:
    session = Session("ember")
    session.ask("one")
    session.keep(Answer(text="first"))
    session.request()
    session.keep(FAILED)
    assert texts(session) == ["one", "first"]

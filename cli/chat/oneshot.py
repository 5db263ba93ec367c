"""One question, one answer: stdout gets the answer and nothing else."""

from __future__ import annotations

import sys

from cli.chat.answer import follow
from cli.chat.session import Session
from cli.errors import FAILED, INTERRUPTED, OK, show
from engine import Engine
from engine.errors import InvalidRequest


def prompt_of(argument: str | None) -> str:
    """The prompt: what is piped in, then the argument, with an empty line between. Raises InvalidRequest."""
    piped = "" if sys.stdin is None or (sys.stdin.isatty() and argument) else _read_stdin()
    text = "\n\n".join(part for part in (piped.strip(), (argument or "").strip()) if part)
    if not text:
        raise InvalidRequest(
            "The prompt is empty.", fix='Give one: hearth chat MODEL "PROMPT", or pipe one in.'
        )
    return text


def _read_stdin() -> str:
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            "What is piped in is not text.", f"Byte {error.start} is not UTF-8.", "Pipe in UTF-8 text."
        ) from None


async def ask(engine: Engine, session: Session, prompt: str) -> int:
    """Write the answer to `prompt`; the exit status."""
    answer = await follow(engine.generate(session.ask(prompt)), session.model)
    if answer.error is not None:
        show(answer.error)
        return FAILED
    return INTERRUPTED if answer.stopped else OK

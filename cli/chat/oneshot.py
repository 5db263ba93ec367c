"""One question, one answer: stdout gets the answer and nothing else. The files that the question names go along."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cli.chat.answer import follow, probabilities, remarks
from cli.chat.images import Content, image_parts, joined
from cli.chat.session import Session
from cli.errors import FAILED, INTERRUPTED, OK, show
from engine import Engine
from engine.errors import InvalidRequest
from engine.text_safety import clean
from tui.asking.files import attachments, missing, not_there, with_files
from tui.asking.pictures import content_of, pictures


def prompt_of(argument: str | None, images: Sequence[str] = ()) -> Content:
    """The prompt: `images`, what is piped in, then the argument with the files and pictures it mentions.

    An `@` in piped text is text: nobody typed it for this program. Raises InvalidRequest.
    """
    piped = "" if sys.stdin is None or (sys.stdin.isatty() and argument) else _read_stdin()
    typed = (argument or "").strip()
    for note in not_there(missing(typed, Path.cwd())):
        print(clean(note), file=sys.stderr)
    shown = pictures(typed, Path.cwd())
    asked = content_of(with_files(typed, attachments(typed, Path.cwd())), shown)
    text = joined(image_parts(images), piped.strip(), asked)
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


async def ask(engine: Engine, session: Session, prompt: Content) -> int:
    """Write the answer to `prompt`; the exit status."""
    request = session.ask(prompt)
    answer = await follow(engine.generate(request), request)
    for note in [*probabilities(answer), *remarks(request, answer)]:
        print(clean(note), file=sys.stderr)
    if answer.error is not None:
        show(answer.error)
        return FAILED
    if request.constraint is not None and answer.reason in ("length", "context_full"):
        print("The answer ended before its form was complete.", file=sys.stderr)
        return FAILED
    return INTERRUPTED if answer.stopped else OK

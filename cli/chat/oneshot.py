"""One question, one answer: stdout gets the answer and nothing else. The files that the question names go along."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cli.chat.answer import probabilities, remarks
from cli.chat.history_file import HistoryFile
from cli.chat.images import Content, image_parts, joined
from cli.chat.kept import KeptChat, answer_of
from cli.chat.session import Session
from cli.errors import FAILED, INTERRUPTED, OK, show
from engine import Engine
from engine.errors import InvalidRequest
from engine.text_safety import clean
from tui.asking.files import attachments, missing, not_there, with_files
from tui.asking.pictures import content_of, pictures


def prompt_of(argument: str | None, images: Sequence[str] = (), input_file: str | None = None) -> Content:
    """The prompt: `images`, what `input_file` holds or else is piped in, then the argument with the files and pictures
    it mentions.

    An `@` in piped text is text: nobody typed it for this program. Raises InvalidRequest.
    """
    if input_file is not None:
        piped = _read_file(input_file)
    else:
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


def _read_file(name: str) -> str:
    """The text of a file, its last line end left out as a shell would."""
    try:
        return Path(name).read_bytes().decode("utf-8-sig").rstrip("\n")
    except OSError as error:
        raise InvalidRequest(
            f"The input file {name} cannot be read.", f"{error.strerror or error}.", param="input_file"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The input file {name} is not text.", f"Byte {error.start} is not UTF-8.", param="input_file"
        ) from None


async def ask(
    engine: Engine,
    session: Session,
    prompt: Content,
    *,
    kept: KeptChat | None = None,
    history: HistoryFile | None = None,
) -> int:
    """Write the answer to `prompt`; the exit status. Question and answer go into `history`."""
    request = session.ask(prompt)
    answer = await answer_of(engine, request, kept)
    session.keep(answer)
    if history is not None and len(session.messages) >= len(request.messages or ()):
        history.write(session.messages)
    for note in [*probabilities(answer), *remarks(request, answer)]:
        print(clean(note), file=sys.stderr)
    if answer.error is not None:
        show(answer.error)
        return FAILED
    if request.constraint is not None and answer.reason in ("length", "context_full"):
        print("The answer ended before its form was complete.", file=sys.stderr)
        return FAILED
    return INTERRUPTED if answer.stopped else OK

"""The conversation in the plain terminal: reads a message, runs a `/` command or asks the model, again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cli.chat import history, lines, slash
from cli.chat.answer import figures, probabilities, remarks
from cli.chat.history_file import HistoryFile
from cli.chat.images import image_parts, joined
from cli.chat.kept import KeptChat, answer_of
from cli.chat.session import Session
from cli.errors import INTERRUPTED, OK, show
from cli.options import OPTIONS
from cli.terminal_text import dim
from engine import Engine
from engine.errors import HearthError, InvalidRequest
from engine.text_safety import clean
from engine.types import Estimate, GenerationRequest, ModelEntry
from tui.asking.adapters import without_adapter
from tui.asking.choices import choices
from tui.asking.files import attachments, missing, not_there, with_files
from tui.asking.pictures import content_of, pictures

Result = TypeVar("Result")


class Chat:
    """One conversation with its engine. `runner` is the loop on which the engine's answers are awaited.

    The pictures `images` go with the first message. With `keep` the conversation is kept where the workstation keeps
    its own; `history` is a file that holds it too.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session,
        runner: asyncio.Runner,
        images: Sequence[str] = (),
        *,
        keep: bool = False,
        history: HistoryFile | None = None,
    ) -> None:
        self.session = session
        self._engine, self._runner = engine, runner
        self._models: list[ModelEntry] | None = None
        self._interrupted = False
        self._images = tuple(images)
        self.kept = KeptChat(engine, session, self.note) if keep else None
        self._history = history

    def loop(self, history_file: Path) -> int:
        """Talk until the person leaves; the exit status."""
        reader = lines.LineReader(self.complete, history.read(history_file))
        self.note(f"{self.session.model} answers. /help lists the commands, Ctrl-D leaves.")
        while True:
            try:
                message = reader.read()
            except EOFError:
                print(file=sys.stderr)
                return OK
            except lines.Discarded:
                print(file=sys.stderr)
                self._interrupted = False
                continue
            except KeyboardInterrupt:
                print(file=sys.stderr)
                if self._interrupted:
                    return INTERRUPTED
                self._interrupted = True
                self.note("Ctrl-C again leaves.")
                continue
            self._interrupted = False
            if not message:
                continue
            reader.remember(message)
            try:
                history.append(history_file, message)
                self.take(message)
            except EOFError:
                return OK
            except KeyboardInterrupt:
                print(file=sys.stderr)
                return INTERRUPTED
            except HearthError as error:
                show(error.info)

    def take(self, message: str) -> None:
        """Run the `/` command in `message`, or say it to the model. Raises HearthError; EOFError to leave."""
        if message.startswith("/") and not message.startswith("//"):
            name, _, argument = message[1:].partition(" ")
            slash.find(name).run(self, argument.strip())
        else:
            self.say(message.removeprefix("/") if message.startswith("//") else message)

    def say(self, text: str) -> None:
        """Send `text`, with the files and pictures it mentions, and write the answer."""
        for note in not_there(missing(text, Path.cwd())):
            self.note(note)
        files = attachments(text, Path.cwd())
        if files:
            window = self._await(self._engine.facts(self.session.model)).context
        for file in files:
            tokens = len(self._await(self._engine.tokenize(self.session.model, file.text, special=False)))
            if window and tokens > window:
                raise InvalidRequest(
                    f"@{file.name} does not fit.",
                    f"It has {tokens} tokens, and the window of {self.session.model} holds {window}.",
                    "Insert a part of it, or open a larger window with --ctx.",
                )
            self.note(f"{file.name}: {tokens} tokens")
        shown = pictures(text, Path.cwd())
        for picture in shown:
            self.note(f"{picture.label}: {picture.facts}")
        content = joined(image_parts(self._images), "", content_of(with_files(text, files), shown))
        request = self.session.ask(content)
        self._images = ()  # they go with the first message
        self.answer(request)

    def answer(self, request: GenerationRequest) -> None:
        """Run `request`, write its answer and keep it in the conversation."""
        answer = self._await(answer_of(self._engine, request, self.kept))
        self.session.keep(answer)
        if self.kept is not None:
            self.kept.took()
        if self._history is not None:
            self._history.write(self.session.messages)
        for note in [*probabilities(answer), *remarks(request, answer)]:
            self.note(note)
        if answer.error is not None:
            show(answer.error)
        elif answer.stopped:
            self._interrupted = True
            self.note(f"stopped · {figures(answer)}")
        else:
            self.note(figures(answer) + (" · cut at the token limit" if answer.reason == "length" else ""))
        if waiting := self.session.open_calls():
            self.note(f"{waiting[0].name} waits for its result: /result TEXT")

    def go_on(self) -> None:
        """Have the messages so far answered, if nothing waits for a result."""
        if not self.session.open_calls():
            self.answer(self.session.request())

    def estimate(self) -> Estimate:
        """What loading the model would take, with the options said so far. Raises HearthError."""
        return self._await(self._engine.estimate(self.session.model, self.session.request().load))

    def load(self, model: str) -> None:
        """Make `model` resident. Raises HearthError if it cannot be."""
        self._await(self._engine.load(model))

    def models(self) -> list[ModelEntry]:
        """What could be run here; looked up once."""
        if self._models is None:
            self._models = self._await(choices(self._engine))
        return self._models

    def adapters(self) -> list[str]:
        """The adapters of the model that answers."""
        entry = self.entry()
        return list(entry.adapters) if entry is not None else []

    def entry(self) -> ModelEntry | None:
        """What is known of the model that answers; None for one that is named by its path."""
        known = {entry.id: entry for entry in self.models()}
        return known.get(without_adapter(self.session.model, known))

    def note(self, text: str) -> None:
        """A line of Hearth's own, apart from what the model says."""
        print(dim(clean(text), sys.stderr), file=sys.stderr, flush=True)

    def complete(self, line: str, word: str) -> list[str]:
        """What the last `word` of `line` may become."""
        if word.startswith("@"):
            return ["@" + path for path in lines.complete_path(word[1:])]
        first, _, rest = line.partition(" ")
        if first in ("/save", "/schema", "/tools"):
            return lines.complete_path(word)
        if line == word:
            choices = slash.names() if word.startswith("/") else []
        elif first == "/set" and rest == word:
            choices = [option.name for option in OPTIONS]
        elif first == "/model":
            choices = [entry.id for entry in self.models()]
        elif first == "/adapter":
            choices = [*self.adapters(), "base", "default"]
        else:
            choices = []
        return [choice for choice in choices if choice.startswith(word)]

    def _await(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(coroutine)

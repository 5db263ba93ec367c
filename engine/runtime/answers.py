"""Answers questions about text for one model: tokens, text, prompts and their length. Weights are not needed.

In the worker of a resident model they come between two steps; a reader (`reader`) has nothing else to do.
"""

from __future__ import annotations

import traceback
from typing import Final, Protocol

from msgspec.structs import replace

from engine.errors import HearthError, InternalError
from engine.runtime.intake import Intake
from engine.runtime.wire import Count, Detokenize, Render, Reply, Tokenize
from engine.types import MemoryUse, ModelFacts

Question = Tokenize | Detokenize | Render | Count
_BOUNDLESS: Final = 2**31 - 1


class TextModel(Protocol):
    """What answers need: the part of a `StepBackend` that is about text."""

    facts: ModelFacts

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...

    def piece(self, token: int) -> bytes: ...

    def special_text(self, token: int) -> str: ...

    def memory(self) -> MemoryUse: ...

    def close(self) -> None: ...


class Answers:
    """Answers for the model of `backend`; used from the thread that owns it."""

    def __init__(self, backend: TextModel) -> None:
        self._backend = backend
        self._intake = Intake(_Boundless(backend), answer_reserve=0)  # type: ignore[arg-type]

    def to(self, question: Question) -> Reply:
        """The answer; what goes wrong is in it."""
        try:
            return self._answer(question)
        except HearthError as error:
            return Reply(question.call, error=error.info)
        except Exception as error:
            traceback.print_exc()
            return Reply(question.call, error=InternalError("The call failed.", str(error)).info)

    def _answer(self, question: Question) -> Reply:
        match question:
            case Tokenize():
                tokens = self._backend.tokenize(
                    question.text, add_special=question.special, parse_special=question.special
                )
                return Reply(question.call, tokens=tuple(tokens))
            case Detokenize():
                return Reply(question.call, text=self._intake.text_of(question.tokens))
            case Render():
                text = self._intake.render(question.messages, question.tools, open_turn=question.open_turn)
                return Reply(question.call, text=text)
            case Count():
                # Prepared as for an answer, in a window that nothing overflows.
                request = replace(question.request, max_tokens=0)
                return Reply(question.call, count=len(self._intake.prepare(request).tokens))


class _Boundless:
    """What `Intake` needs of a backend, with a window that holds any prompt."""

    def __init__(self, backend: TextModel) -> None:
        self.facts: ModelFacts = replace(backend.facts, context=_BOUNDLESS)
        self.tokenize, self.piece, self.special_text = backend.tokenize, backend.piece, backend.special_text

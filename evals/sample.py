"""What is asked and what comes back: a sample of a dataset, the answer to it, and the score of that answer.

A sample holds what any scorer could want; a dataset fills in what it has, and a scorer says which of it it `needs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo
from engine.types import ImagePart, Json, Message, Tool, ToolCall

Method = Literal["answer", "likelihood", "perplexity"]
"""How a model is asked: it writes an answer, it says how likely each choice is, or how likely a text is."""


class ExpectedCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool call that should come. An argument may be a list of accepted values under `any`."""

    name: str
    arguments: Mapping[str, Json] = {}


class Instruction(Struct, frozen=True, kw_only=True):
    """One instruction whose keeping can be checked by rule: its id as IFEval names it, and its arguments."""

    id: str
    arguments: Mapping[str, Json] = {}


class CodeTests(Struct, frozen=True, kw_only=True):
    """Python that judges Python: `prompt` is what the model completes, `test` calls `entry_point`."""

    prompt: str
    test: str
    entry_point: str


class Sample(Struct, frozen=True, kw_only=True):
    """One row of a dataset."""

    id: str
    turns: tuple[str, ...] = ()
    """What the user says; each turn after the first follows the model's answer to the one before."""
    system: str | None = None
    history: tuple[Message, ...] = ()
    """Messages before the first turn, such as worked examples."""
    images: tuple[ImagePart, ...] = ()
    """Shown with the first turn."""
    text: str | None = None
    """For perplexity: the text itself."""
    answers: tuple[str, ...] = ()
    """What counts as right, each by itself."""
    keywords: tuple[tuple[str, ...], ...] = ()
    """What the answer should name; each keyword with its alternatives."""
    choices: tuple[str, ...] = ()
    choice: int | None = None
    """The place of the right choice, from 0."""
    schema: Json = None
    tools: tuple[Tool, ...] = ()
    calls: tuple[ExpectedCall, ...] | None = None
    """The tool calls that should come, in any order; empty: none at all."""
    instructions: tuple[Instruction, ...] = ()
    code: CodeTests | None = None
    rubric: str | None = None
    """What a judge is to look for."""
    category: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """What a model made of a sample. Times are seconds; `texts` has one text a turn."""

    texts: tuple[str, ...] = ()
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: str = ""
    likelihoods: tuple[float, ...] = ()
    """Natural log-probability of each choice, or of the text."""
    lengths: tuple[int, ...] = ()
    """Tokens that each of them was summed over."""
    bytes: int = 0
    """Of the text that perplexity is about: bytes that were scored."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    ttft_s: float | None = None
    total_s: float = 0.0
    seed: int | None = None
    error: ErrorInfo | None = None

    @property
    def text(self) -> str:
        """The last turn's text: what scorers look at."""
        return self.texts[-1] if self.texts else ""


class Score(Struct, frozen=True, kw_only=True):
    """How good an answer is. `value` is averaged, 0 to 1 but for perplexity; `passed` where it is right or wrong."""

    value: float
    passed: bool | None = None
    answer: str | None = None
    """What was taken out of the text as the answer, where the scorer takes something out."""
    hits: Mapping[str, bool] = field(default_factory=dict)
    """What was looked for, and whether it was there: keywords, instructions, tests."""
    weight: float = 1.0
    """For perplexity: tokens, by which the mean is weighted."""
    note: str = ""


def right(passed: bool, **more: object) -> Score:
    """The score of an answer that is right or wrong."""
    return Score(value=float(passed), passed=passed, **more)  # type: ignore[arg-type]

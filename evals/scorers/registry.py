"""The table of scorers, and what `NAME:OPTION=VALUE;OPTION=VALUE` on the command line makes of a row of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from msgspec import Struct

from engine.errors import InvalidRequest
from evals.scorers.scorer import Context, Options, Scorer

SCORERS: Mapping[str, tuple[str, str]] = {
    "keywords": ("keywords", "which keywords are in the answer as whole words"),
    "exact": ("matching", "the answer is one of the right ones, character for character"),
    "normalised": ("matching", "the same but for case, punctuation, articles and spaces"),
    "contains": ("matching", "one of the right answers is in the text, as whole words"),
    "final_answer": ("matching", "what stands behind the last 'answer is', or in the last line"),
    "regex": ("matching", "a pattern matches: regex:pattern=…, or each right answer is one"),
    "numeric": ("numeric", "the last number of the answer, within a tolerance"),
    "choice": ("choice", "the choice whose letter the model holds most likely"),
    "letter": ("choice", "the letter of a choice, as it is written in the answer"),
    "perplexity": ("perplexity", "how unlikely the model holds a text; lower is better"),
    "json_schema": ("json_schema", "the answer is JSON that its schema allows"),
    "tool_calls": ("tool_calls", "the calls that should come, and no others"),
    "instructions": ("instructions", "instructions that can be checked by rule, as IFEval's"),
    "code": ("code", "the answer's Python passes its tests, run apart from everything"),
    "rubric": ("judge", "another model's mark from 1 to 10"),
    "python": ("custom", "a function of one's own: python:path=FILE;function=NAME"),
}
"""Module and meaning by name."""


class Spec(Struct, frozen=True, kw_only=True):
    """A scorer with its options, as it is kept with a run."""

    name: str
    options: Mapping[str, str] = {}

    @property
    def label(self) -> str:
        """As it is written on the command line."""
        options = ";".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name


def spec_of(text: str) -> Spec:
    """What the command line says. Raises InvalidRequest."""
    name, _, rest = text.partition(":")
    if name not in SCORERS:
        raise InvalidRequest(
            f"There is no scorer {name!r}.", fix=f"There are: {', '.join(SCORERS)}.", param="scorer"
        )
    options = {}
    # A pattern may hold anything, so it is the last option, to the end.
    while rest:
        key, sign, rest = rest.partition("=")
        if not sign or not key.strip():
            raise InvalidRequest(
                f"The option {key!r} of the scorer {name} has no value.",
                fix=f"Write {name}:OPTION=VALUE, and more of them after a semicolon.",
                param="scorer",
            )
        value, _, rest = (rest, "", "") if key.strip() == "pattern" else rest.partition(";")
        options[key.strip()] = value
    return Spec(name=name, options=options)


def make_scorer(spec: Spec, context: Context) -> Scorer:
    """The scorer of a spec. Raises InvalidRequest for options that it does not have."""
    module, _ = SCORERS[spec.name]
    options = Options(spec.name, spec.options)
    made: Scorer = import_module(f"evals.scorers.{module}").make(spec.name, options, context)
    options.done()
    return made

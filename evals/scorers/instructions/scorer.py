"""The scorer of instructions: every one kept (strict), also where only its wrapping is in the way (loose).

Loose, as IFEval has it: kept by the answer, or by it without its first line, its last line, both, or its asterisks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.errors import InvalidRequest
from engine.types import Json
from evals.sample import Answer, Instruction, Sample, Score
from evals.scorers.instructions import counts, form, texts
from evals.scorers.scorer import Context, Options, Scorer

Check = Callable[[str, Mapping[str, Json]], bool]
CHECKS: Mapping[str, Check] = {**counts.CHECKS, **form.CHECKS, **texts.CHECKS}
"""From an instruction's id to whether a text keeps it, with these arguments."""


def make(name: str, options: Options, context: Context) -> Scorer:
    """`how` strict or loose; the value is the share of instructions kept, passed with all of them."""
    loose = options.one_of("how", "strict", "loose") == "loose"

    def verdict(sample: Sample, answer: Answer) -> Score:
        hits: dict[str, bool] = {}
        for each in sample.instructions:
            # One id may stand twice, with other arguments.
            key, number = each.id, 1
            while key in hits:
                number += 1
                key = f"{each.id} {number}"
            hits[key] = kept(each, answer.text, loose=loose)
        return Score(value=sum(hits.values()) / len(hits), passed=all(hits.values()), hits=hits)

    def examine(sample: Sample) -> None:
        for each in sample.instructions:
            kept(each, "Any text.", loose=loose)

    return Scorer(name=name, needs=("instructions",), verdict=verdict, examine=examine)


def kept(instruction: Instruction, text: str, *, loose: bool = False) -> bool:
    """Whether `text` keeps an instruction. Raises InvalidRequest for one that is not known or lacks an argument."""
    check = CHECKS.get(instruction.id)
    if check is None:
        raise InvalidRequest(
            f"There is no check for the instruction {instruction.id!r}.",
            fix=f"There are: {', '.join(sorted(CHECKS))}.",
            param="dataset",
        )
    try:
        return any(
            form.strip() and check(form, instruction.arguments)
            for form in (_forms(text) if loose else [text])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The arguments of {instruction.id} cannot be used.",
            f"{type(error).__name__}: {error}.",
            param="dataset",
        ) from None


def _forms(text: str) -> list[str]:
    lines = text.split("\n")
    cuts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cuts, *(each.replace("*", "") for each in cuts)]

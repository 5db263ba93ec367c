"""MMLU: the authors' CSV without a head (question, choices, letter), or Parquet with `choices` and a number."""

from __future__ import annotations

from evals.datasets.fields import Wrong, place
from evals.datasets.rows import Row
from evals.sample import Sample

COLUMNS = ("question", "choices", "answer")
SCORER = "choice"
MAX_TOKENS = 16


def sample(row: Row) -> Sample:
    """A question with its choices. Raises Wrong."""
    values = row.values
    question = values.get("question")
    choices = values.get("choices")
    if choices is None:
        choices = [values.get(letter) for letter in "ABCD"]
    if (
        not isinstance(question, str)
        or not isinstance(choices, list)
        or not all(isinstance(c, str) for c in choices)
    ):
        raise Wrong("MMLU has 'question' as text and 'choices' as a list of texts (or columns A to D)")
    options = tuple(choices)
    answer = values.get("answer")
    if isinstance(answer, str) and answer.strip().upper() in tuple("ABCD"):
        right = "ABCD".index(answer.strip().upper())  # a letter, even where a choice reads "A"
        if right >= len(options):
            raise Wrong(f"'answer' names choice {answer.strip()}, and there are {len(options)}")
    else:
        right = place(answer, options)
    return Sample(
        id=str(row.line),
        turns=(question,),
        choices=options,
        choice=right,
        category=str(values.get("subject") or ""),
    )

"""MT-bench (lm-sys/FastChat): `question_id`, `category`, two `turns`, and for some questions `reference` answers."""

from __future__ import annotations

from evals.datasets.fields import Wrong
from evals.datasets.rows import Row
from evals.sample import Sample

COLUMNS = ("question_id", "category", "turns")
SCORER = "rubric"
MAX_TOKENS = 1024


def sample(row: Row) -> Sample:
    """A question of several turns. Raises Wrong."""
    turns = row.values.get("turns")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        raise Wrong("MT-bench has 'turns' as a list of texts")
    reference = row.values.get("reference")
    return Sample(
        id=str(row.values["question_id"]),
        turns=tuple(turns),
        rubric="Reference answers:\n" + "\n\n".join(map(str, reference)) if reference else None,
        category=str(row.values.get("category") or ""),
    )

"""IFEval (google-research): `key`, `prompt`, `instruction_id_list` and `kwargs` for each."""

from __future__ import annotations

from evals.datasets.fields import Wrong
from evals.datasets.rows import Row
from evals.sample import Instruction, Sample

COLUMNS = ("prompt", "instruction_id_list", "kwargs")
SCORER = "instructions"
MAX_TOKENS = 1280


def sample(row: Row) -> Sample:
    """A prompt with the instructions in it. Raises Wrong."""
    prompt, ids, kwargs = (row.values.get(name) for name in COLUMNS)
    if not isinstance(prompt, str) or not isinstance(ids, list) or not isinstance(kwargs, list):
        raise Wrong("IFEval has 'prompt' as text, 'instruction_id_list' and 'kwargs' as lists")
    if len(ids) != len(kwargs):
        raise Wrong(f"it has {len(ids)} instructions and arguments for {len(kwargs)}")
    # The hub's copy names every argument of all instructions, null where it is not this one's.
    found = tuple(
        Instruction(
            id=str(id), arguments={name: value for name, value in (each or {}).items() if value is not None}
        )
        for id, each in zip(ids, kwargs, strict=True)
    )
    key = row.values.get("key")
    return Sample(id=str(row.line if key is None else key), turns=(prompt,), instructions=found)

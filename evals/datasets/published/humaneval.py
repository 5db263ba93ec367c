"""HumanEval's form (openai/human-eval): `task_id`, `prompt` to be completed, `test` with `check`, and `entry_point`."""

from __future__ import annotations

from evals.datasets.fields import Wrong
from evals.datasets.rows import Row
from evals.sample import CodeTests, Sample

COLUMNS = ("task_id", "prompt", "test", "entry_point")
SCORER = "code"
MAX_TOKENS = 768
ASKED = "Complete this Python function. Answer with the whole function in one code block.\n\n```python\n{prompt}```"


def sample(row: Row) -> Sample:
    """A function to complete. Raises Wrong."""
    task, prompt, test, entry = (row.values.get(name) for name in COLUMNS)
    if not all(isinstance(value, str) for value in (prompt, test, entry)):
        raise Wrong("HumanEval has 'prompt', 'test' and 'entry_point' as text")
    if not str(entry).isidentifier():
        raise Wrong(f"its 'entry_point' is {entry!r}, which is no name of Python")
    return Sample(
        id=str(task),
        turns=(ASKED.format(prompt=prompt),),
        code=CodeTests(prompt=str(prompt), test=str(test), entry_point=str(entry)),
    )

"""Constraints made to do harm end in a clear error or work, in a process of their own with little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.prompt.hostile import BOMBS


@pytest.mark.parametrize(
    ("kind", "refused", "held"),
    [
        (
            "grammar",
            ["garbage", "50,000 brackets", "undefined rule"],
            ["nested repetition", "a chain of 1,100 rules"],
        ),
        ("schema", ["remote", "sixteen patterns at once", "length of a billion"], ["true", "2,000 values"]),
        ("regex", ["no property", "50,000 brackets"], ["backtracking", "an automaton of 2^300 states"]),
    ],
)
def test_no_constraint_kills_or_holds_up_the_process(
    repository: Path, kind: str, refused: list[str], held: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.prompt.hostile", kind],
        cwd=repository, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr[-500:])
    ended = dict(line.rsplit(": ", 1) for line in lines)
    assert ended.keys() == BOMBS[kind]().keys()
    assert all(how.startswith(("refused", "held")) for how in ended.values()), ended
    assert all(ended[name].startswith("refused") for name in refused), ended
    assert all(ended[name].startswith("held") for name in held), ended

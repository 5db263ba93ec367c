"""Code tests: the Python of an answer is run with the sample's tests, only when asked, and only in a sandbox.

The program reaches no network, finds an empty home, reads the interpreter and writes nowhere that stays. Without
bubblewrap (Linux) or sandbox-exec (macOS) nothing is run, and the refusal says so.
"""

from __future__ import annotations

import re
import secrets
import textwrap

from engine.errors import NotAllowed
from evals.sample import Answer, CodeTests, Sample, Score, right
from evals.sandbox import Ran, find_sandbox
from evals.scorers.scorer import Context, Options, Scorer

_BLOCK = re.compile(
    r"```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL | re.IGNORECASE
)


def make(name: str, options: Options, context: Context) -> Scorer:
    """`timeout` in seconds for one program.

    Raises NotAllowed unless running code was asked for, Unsupported without a sandbox.
    """
    timeout = options.number("timeout", 10)
    if not context.runs_code:
        raise NotAllowed(
            "The scorer code runs what a model wrote.",
            "That was not asked for.",
            "Ask with --run-code: each program runs in a sandbox without network and home.",
            param="run_code",
        )
    sandbox = find_sandbox()

    async def verdict(sample: Sample, answer: Answer) -> Score:
        assert sample.code is not None
        done = secrets.token_hex(16)
        ran = await sandbox.run(program(sample.code, answer.text, done), timeout)
        passed = ran.status == 0 and done in ran.output
        return right(passed, hits={sample.code.entry_point: passed}, note="" if passed else why(ran))

    return Scorer(name=name, needs=("code",), late_verdict=verdict)


def program(tests: CodeTests, text: str, done: str) -> str:
    """What is run: the answer's function, then the tests, then a word that only a program that got there can print."""
    return "\n".join(
        [
            solution(tests, text),
            "",
            tests.test,
            "",
            f"check({tests.entry_point})",
            f"print({done!r})",
        ]
    )


def solution(tests: CodeTests, text: str) -> str:
    """The function: the block that defines it, after the prompt that it may need; else the prompt, gone on with."""
    blocks = [block for block in _BLOCK.findall(text) if block.strip()]
    code = next((block for block in blocks if _defines(block, tests.entry_point)), None)
    if code is None and not blocks and _defines(text, tests.entry_point):
        code = text
    if code is not None:
        # Imports of the prompt hold for the answer too; its stub is defined first and then anew.
        return f"{tests.prompt.rstrip()}\n    pass\n\n{textwrap.dedent(code)}"
    body = blocks[0] if blocks else text
    return tests.prompt + body


def why(ran: Ran) -> str:
    """Why a program did not pass, in a line."""
    if ran.timed_out:
        return "it ran too long"
    lines = [line for line in ran.errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with status {ran.status} before its tests were over"


def _defines(code: str, name: str) -> bool:
    return re.search(rf"^\s*(?:async\s+)?def\s+{re.escape(name)}\s*\(", code, re.MULTILINE) is not None

"""Code that models write: refused unless asked for, and shut in when it is run. Needs bubblewrap or sandbox-exec."""

# ruff: noqa: E501 - a case is one entry, however long

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from engine.errors import NotAllowed, Unsupported
from evals.sample import Answer, CodeTests, Sample, Score
from evals.sandbox import Ran, Sandbox, find_sandbox
from evals.scorers import Context, make_scorer, spec_of
from evals.scorers.code import solution

ADD = CodeTests(
    prompt='from math import floor\n\n\ndef add(a, b):\n    """The sum."""\n',
    test="def check(add):\n    assert add(1, 2) == 3\n    assert add(-1, 1) == 0\n",
    entry_point="add",
)
FULL = "def add(a, b):\n    return a + b"
CASES = [
    (f"```python\n{FULL}\n```", True), (f"Here it is:\n```python\n{FULL}\n```\nIt adds.", True), (f"```\n{FULL}\n```", True),
    (f"```py\n{FULL}\n```", True), (FULL, True), ("    return a + b\n", True), ("```python\n    return a + b\n```", True),
    (f"```python\n{FULL}", True), ("```python\nprint('hi')\n```\n```python\n" + FULL + "\n```", True),
    ("```python\ndef add(a, b):\n    return floor(a + b)\n```", True), ("```python\n    def add(a, b):\n        return a + b\n```", True),
    ("```python\ndef add(*x):\n    return sum(x)\n```", True), ("```python\nimport math\n" + FULL + "\n```", True),
    ("```python\ndef help(a):\n    return a\ndef add(a, b):\n    return help(a) + b\n```", True),
    ("```python\nadd = lambda a, b: a + b\n```", True), ("```python\ndef add(a, b):\n    return a - b\n```", False),
    ("```python\ndef add(a, b)\n    return a + b\n```", False), ("I cannot.", False), ("", False), ("```python\n```", False),
    ("```python\ndef plus(a, b):\n    return a + b\n```", False), ("```python\ndef add(a):\n    return a\n```", False),
    ("```python\ndef add(a, b):\n    raise SystemExit(0)\n```", False), ("```python\nimport sys\nsys.exit(0)\n```", False),
    ("```python\ndef add(a, b):\n    import os\n    os._exit(0)\n```", False), ("```python\ndef add(a, b):\n    pass\n```", False),
    ("```python\ndef add(a, b):\n    return str(a + b)\n```", False), ("```python\ndef add(a, b):\n    return nothing\n```", False),
    ("    return b - a\n", False), ("```python\nimport nothing_known\n" + FULL + "\n```", False),
    ("```python\ndef add(a, b):\n    return a + b\nassert False\n```", False), ("return a + b", False),
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return find_sandbox()
    except Unsupported:
        pytest.skip("there is neither bwrap nor sandbox-exec")


def run(sandbox: Sandbox, program: str, timeout: float = 20) -> Ran:
    return asyncio.run(sandbox.run(program, timeout))


def test_a_sandbox_that_does_not_work_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bwrap"
    tool.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="does not work") as raised:
        find_sandbox()
    assert "Permission denied" in raised.value.why


def test_code_is_refused_unless_asked_for() -> None:
    with pytest.raises(NotAllowed, match="--run-code"):
        make_scorer(spec_of("code"), Context())


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Unsupported, match="neither bubblewrap"):
        make_scorer(spec_of("code"), Context(runs_code=True))


def test_the_function_is_found_in_what_a_model_writes() -> None:
    whole = solution(ADD, f"Sure!\n```python\n{FULL}\n```")
    assert whole.startswith("from math import floor") and whole.endswith(FULL)
    assert solution(ADD, "    return a + b") == ADD.prompt + "    return a + b"


def test_the_command_shuts_everything_that_is_not_named(tmp_path: Path) -> None:
    command = Sandbox("bwrap", "/usr/bin/bwrap").command(str(tmp_path))
    apart = {"--unshare-all"} if os.getuid() else {"--unshare-net", "--unshare-pid", "--unshare-ipc"}
    assert {*apart, "--die-with-parent", "--clearenv", "--new-session"} < set(command)
    shown = [command[place + 1] for place, part in enumerate(command) if part.startswith("--ro-bind")]
    assert "--bind" not in command and not {str(Path.home()), "/", "/home", "/etc", str(Path.cwd())} & set(
        shown
    )
    assert "--share-net" not in command
    profile = Sandbox("sandbox-exec", "/usr/bin/sandbox-exec").command(str(tmp_path))[2]
    assert "(deny default)" in profile and "(deny network*)" in profile


def test_code_judged_by_hand(sandbox: Sandbox) -> None:
    assert len(CASES) >= 30
    scorer = make_scorer(spec_of("code"), Context(runs_code=True))

    async def verdicts() -> list[Score]:
        sample = Sample(id="x", turns=("?",), code=ADD)
        return [await scorer.score(sample, Answer(texts=(text,))) for text, _ in CASES]

    found = asyncio.run(verdicts())
    assert [case for case, score in zip(CASES, found, strict=True) if score.passed is not case[1]] == []


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('127.0.0.1', 22), 2)",
        "import socket; socket.create_connection(('1.1.1.1', 53), 2)",
        "open('/etc/passwd').read()",
        "import os; assert os.listdir(os.path.expanduser('~')) == ['x']",
        "open('/usr/written', 'w')",
        "x = bytearray(1 << 31)",
        "import os; os.setuid(0)",
        # Each child only sleeps, so that a limit that does not hold costs little.
        "import os, time\nfor _ in range(200):\n    if not os.fork():\n        time.sleep(3)\n        os._exit(0)",
    ],
)
def test_what_a_program_may_not_do(sandbox: Sandbox, program: str) -> None:
    assert run(sandbox, program).status != 0


def test_a_home_that_is_empty_and_an_environment_that_says_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    program = "import os; print(os.listdir(os.environ['HOME']), sorted(os.environ), os.getcwd(), os.getuid() or 1 / 0)"
    ran = run(sandbox, program)
    assert ran.status == 0, ran.errors
    assert ran.output.startswith("[] ") and "SECRET_OF_MINE" not in ran.output


def test_a_program_without_an_end_is_ended(sandbox: Sandbox) -> None:
    ran = run(sandbox, "while True: pass", timeout=1.0)
    assert ran.timed_out and ran.status != 0


def test_a_program_that_never_stops_writing_is_ended(sandbox: Sandbox) -> None:
    assert run(sandbox, "while True: print('x' * 1000)").status != 0

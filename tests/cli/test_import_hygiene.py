"""What must not be imported: heavy libraries for help and version, nothing at all from the current folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Open
from tests.cli.program import run
from tests.cli.terminal import environment, hearth

HEAVY = {"textual", "duckdb", "pydantic", "httpx", "msgspec", "asyncio", "llama_cpp", "litestar", "numpy"}
REPORT = """
import json, sys
from cli.main import run
status = run(sys.argv[1:])
print(json.dumps([status, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(hearth_home: Path, argument: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", REPORT, argument],
        capture_output=True,
        env=environment(hearth_home),
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    assert HEAVY.isdisjoint(modules)


def test_the_launcher_imports_only_what_it_needs(hearth_home: Path) -> None:
    report = "import sys, cli.launcher; print(sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", report],
        capture_output=True,
        text=True,
        env=environment(hearth_home),
        check=True,
    )
    for name in ("typer", "rich", "msgspec", "asyncio", "subprocess", "tempfile"):
        assert f"'{name}'" not in done.stdout


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """A folder full of packages that shout when they are imported."""
    folder = tmp_path / "decoys"
    for name in ("engine", "api", "tui", "cli", "evals", "typer", "readline", "msgspec", "themes", "starter"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f"raise SystemExit('{name} is false')\n")
    return folder


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "show"], ["chat", "--help"]])
def test_commands_import_nothing_of_the_current_folder(
    hearth_home: Path, decoys: Path, arguments: list[str]
) -> None:
    done = run(hearth_home, *arguments, cwd=decoys)
    assert done.returncode == 0
    assert "is false" not in done.stdout + done.stderr


def test_the_workstation_imports_nothing_of_the_current_folder(on_terminal: Open, decoys: Path) -> None:
    terminal = on_terminal(*hearth("--config", "missing.toml"), cwd=decoys)
    assert terminal.wait() == 2
    assert b"missing.toml" in terminal.screen
    assert b"is false" not in terminal.screen
    assert terminal.attributes() == terminal.attributes_before

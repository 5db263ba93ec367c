"""`hearth` in this process: for tests of many commands, each of which would be a program to start."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cli.main import run
from tests.cli.terminal import environment


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


def ran(home: Path, *arguments: str, piped: str | bytes = b"", cwd: Path | None = None, **extra: str) -> Done:
    """What `tests.cli.program.run` gives, without a program."""
    given = io.BytesIO(piped.encode() if isinstance(piped, str) else piped)
    out, err = io.BytesIO(), io.BytesIO()
    with (
        mock.patch.dict(os.environ, environment(home, **extra), clear=True),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(given, encoding="utf-8")),
        redirect_stdout(io.TextIOWrapper(out, encoding="utf-8", write_through=True)),
        redirect_stderr(io.TextIOWrapper(err, encoding="utf-8", write_through=True)),
        chdir(cwd or home),
    ):
        code = run(arguments)
        return Done(code, out.getvalue().decode(errors="backslashreplace"), err.getvalue().decode())


class Hearth:
    """Runs commands in the home that the environment says; see `tests.cli.program` for real programs."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._patch = capsys, monkeypatch

    def __call__(self, *arguments: str, piped: str = "", **environment: str) -> Done:
        with self._patch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped.encode()), encoding="utf-8"))
            self._capsys.readouterr()
            code = run(arguments)
        out, err = self._capsys.readouterr()
        return Done(code, out, err)

    def said(self, *arguments: str, **more: Any) -> str:
        """What a command that succeeds prints."""
        done = self(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def asked(self, *arguments: str, **more: Any) -> Any:
        """The JSON that it prints."""
        return json.loads(self.said(*arguments, "--json", **more))

    def refused(self, *arguments: str, **more: Any) -> str:
        """What a command that is refused says."""
        done = self(*arguments, **more)
        assert done.returncode in (1, 2) and done.stdout == ""
        assert done.stderr.startswith("error: ")
        return done.stderr

"""`hearth` in this process: for tests of many commands, each of which would be a program to start."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from cli.main import run


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


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

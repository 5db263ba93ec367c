"""`hearth` as a program without a terminal: its exit status, stdout and stderr."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cli.terminal import environment, hearth


def run(
    home: Path, *arguments: str, piped: str | bytes = b"", cwd: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `hearth arguments` with `piped` on stdin, living in `home`."""
    done = subprocess.run(
        hearth(*arguments),
        input=piped.encode() if isinstance(piped, str) else piped,
        capture_output=True,
        env=environment(home, **extra),
        cwd=cwd or home,
        timeout=100,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="backslashreplace"), done.stderr.decode()
    )

"""Environments of their own for client libraries whose pins would not live beside Hearth's; made once a run by pip.

Where pip cannot fetch a library its test is skipped, and says so. With CLIENT_ENVIRONMENTS, a folder, they are kept
there from one run to the next.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import Server
from engine import LocalEngine
from engine.paths import resolve
from engine.settings import Settings
from tests.leaving import when_leaving

Python = Callable[..., Path]
_INSTALL_S = 900


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("CLIENT_ENVIRONMENTS")
    return Path(kept) if kept else tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="session")
def python_with(environments: Path) -> Python:
    """The interpreter of an environment that has the named packages."""

    def made(*packages: str) -> Path:
        folder = environments / "-".join(each.partition("[")[0] for each in packages)
        python = folder / "bin" / "python"
        whole = folder / "whole"
        if not whole.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            install = [str(python), "-m", "pip", "install", "-q", "--retries", "1", *packages]
            try:
                done = subprocess.run(install, capture_output=True, text=True, timeout=_INSTALL_S)
            except subprocess.TimeoutExpired:
                pytest.skip(f"pip has not installed {', '.join(packages)} within {_INSTALL_S} s")
            if done.returncode:
                last = next((line for line in reversed(done.stderr.splitlines()) if "ERROR" in line), "")
                pytest.skip(f"pip cannot install {', '.join(packages)}: {last or 'no registry is reachable'}")
            whole.touch()
        return python

    return made


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for these clients alone: they load and change what they like."""
    paths = resolve({"HEARTH_HOME": str(tmp_path_factory.mktemp("conformance"))})
    engine = LocalEngine(Settings(), screen_attached=False, paths=paths)
    server = Server(engine, Settings(), paths=paths, port=0)
    server.start()

    def end() -> None:
        server.stop(now=True)
        asyncio.run(engine.close())

    when_leaving(Path(__file__).parent, end)
    yield server.url
    end()

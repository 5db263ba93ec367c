"""`hearth ps`, `load` and `unload`, asked of a real server behind the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.inside import Hearth
from tests.cli.program import run


@pytest.fixture
def hearth(
    hearth_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hearth]:
    yield Hearth(capsys, monkeypatch)
    run(hearth_home, "stop", "--force")


def test_models_are_loaded_listed_and_let_go(hearth: Hearth, hearth_home: Path) -> None:
    for command in (("ps",), ("load", "ember"), ("unload", "ember")):
        assert "hearth start" in hearth.refused(*command)
    hearth.said("create", "--alias", "small", "--model", "ember", "--ctx", "256", "--keep-alive", "1h")
    started = run(hearth_home, "start", "--port", "0")
    assert started.returncode == 0, started.stderr
    assert hearth.asked("ps") == []
    assert hearth.said("load", "small") == "small is loaded.\n"
    (loaded,) = hearth.asked("ps")
    assert loaded["context_length"] == 256
    head, row = hearth.said("ps").splitlines()
    assert head.split() == ["MODEL", "MEMORY", "ON", "GPU", "CONTEXT", "STAYS"]
    assert row.startswith("ember ") and row.endswith("59 minutes")
    hearth.said("load", "ember", "--keep-alive", "-1")
    assert hearth.said("ps").splitlines()[1].endswith("for ever")
    assert "nobody" in hearth.refused("load", "nobody")
    assert "stays for a while" in hearth.refused("load", "ember", "--keep-alive", "0")
    assert hearth.asked("unload", "small") == {"unloaded": ["small"]}
    assert hearth.asked("ps") == []

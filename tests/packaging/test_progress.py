"""What a person sees while the set-up runs."""

import io
import os
import sys
from pathlib import Path

import pytest

from setup.progress import ProgressLine, StepFailed, describe, is_large_download, run_step


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  [34/136] /usr/bin/g++ -O3 -c x.cpp", "compiling 34 of 136 (25 %)"),
        ("  Downloading torch-2.13.0-cp311.whl (539.1 MB)", "downloading torch-2.13.0-cp311.whl (539.1 MB)"),
        ("Collecting msgspec>=0.20 (from hearth==0.1.0)", "collecting msgspec>=0.20"),
        ("Processing /wheels/torch-2.13.0.whl (from hearth)", "collecting torch-2.13.0.whl"),
        ("  Building wheel for llama-cpp-python (pyproject.toml): started", "building llama-cpp-python"),
        ("Installing collected packages: a, b", "writing packages"),
        ("  -- The CXX compiler identification is GNU 12.2.0", None),
        ("", None),
    ],
)
def test_lines_of_pip_say_where_it_is(line: str, said: str | None) -> None:
    assert describe(line) == said


@pytest.mark.parametrize(
    ("size", "large"),
    [("49.9 MB", False), ("50.0 MB", True), ("1.2 GB", True), ("800 kB", False), ("900000 B", False)],
)
def test_large_downloads_are_known_by_their_size(size: str, large: bool) -> None:
    assert is_large_download(f"  Downloading x.whl ({size})") is large


def test_a_step_keeps_the_whole_output_in_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "print('  Downloading torch.whl (539.1 MB)'); print('[1/2] cc'); print('plain')"
    seconds = run_step("Packages", [sys.executable, "-c", code], tmp_path / "log", os.environ)
    assert seconds >= 0
    assert "[1/2] cc\nplain\n" in (tmp_path / "log").read_text()
    shown = capfd.readouterr().err
    assert "downloading torch.whl (539.1 MB)\n" in shown
    assert shown.rstrip().endswith("done")


def test_a_failed_step_tells_status_and_last_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "print('\\n'.join(map(str, range(100)))); raise SystemExit(3)"
    with pytest.raises(StepFailed) as failure:
        run_step("Packages", [sys.executable, "-c", code], tmp_path / "log", os.environ)
    assert (failure.value.status, failure.value.tail[-1]) == (3, "99")
    assert "Packages failed with status 3" in str(failure.value)
    assert capfd.readouterr().err.endswith("failed\n")


def test_a_terminal_gets_one_line_redrawn() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with ProgressLine("Packages", stream) as line:
        line.state = "collecting rich"
        line.keep("downloading torch.whl (539.1 MB)")
    drawn = stream.getvalue()
    assert drawn.count("\n") == 2
    assert drawn.rsplit("\x1b[2K", 1)[1].endswith("done\n")

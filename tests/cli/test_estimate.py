"""`hearth estimate`: what a load would take, for people and for programs; the exit status says whether it fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands.estimate import show
from engine.types import DeviceNeed, Estimate
from tests.cli.inside import ran as run

GIB = 2**30


def test_a_row_a_device_and_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = DeviceNeed(device="CPU", weights=GIB, kv_cache=GIB, free=8 * GIB)
    gpu = DeviceNeed(device="CUDA0", weights=6 * GIB, compute=GIB, free=4 * GIB)
    show(
        Estimate(
            model="m", context=4096, slots=1, cells=4096, devices=(cpu, gpu), fits=False, advice="Use less."
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "DEVICE  WEIGHTS  KV CACHE  COMPUTE  NEEDS    FREE",
        "CPU     1.0 GiB  1.0 GiB   –        2.0 GiB  8.0 GiB",
        "CUDA0   6.0 GiB  –         1.0 GiB  7.0 GiB  4.0 GiB",
        "Does not fit: needs 7.0 GiB of CUDA0, 4.0 GiB are free.",
        "Use less.",
        "A window of 4,096 tokens.",
        "Figures by rule of thumb.",
    ]


def test_the_starter_model_fits_and_a_smaller_window_needs_less(hearth_home: Path) -> None:
    done = run(hearth_home, "estimate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:2] == ["DEVICE", "WEIGHTS"]
    assert "Fits: needs " in done.stdout and "A window of 2,048 tokens" in done.stdout
    whole, small = (
        json.loads(run(hearth_home, "estimate", "ember", "--json", *flags).stdout)
        for flags in ((), ("--ctx", "256", "--slots", "1"))
    )
    assert whole["fits"] and small["context"] == 256 and small["slots"] == 1
    assert 0 < small["devices"][0]["kv_cache"] < whole["devices"][0]["kv_cache"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("no-such-model",), 1, "'no-such-model'"),
        (("ember", "--ctx", "2"), 2, "--ctx cannot be '2'."),
    ],
)
def test_what_cannot_be_estimated_is_an_error(
    hearth_home: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = run(hearth_home, "estimate", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr.splitlines()[0]


def test_a_window_that_no_model_has_is_said_to_be_smaller(hearth_home: Path) -> None:
    done = run(hearth_home, "estimate", "ember", "--ctx", "999999")
    assert "The window is 2,048 tokens: the model was made for no more, so not 999,999" in done.stdout

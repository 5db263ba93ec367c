"""A function of one's own as a scorer. It runs here with all rights: it is the file of whoever names it.

def verdict(sample, answer):        # evals.sample.Sample and Answer
    return len(answer.text) < 100   # a bool, a number from 0 to 1, or an evals.sample.Score
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import InvalidRequest
from evals.sample import Answer, Sample, Score, right
from evals.scorers.scorer import Context, Options, Scorer


def make(name: str, options: Options, context: Context) -> Scorer:
    """`path` is the file, `function` its function (`verdict`). Raises InvalidRequest."""
    path, function = Path(options.text("path")).expanduser(), options.text("function", "verdict")
    found = _function(path, function)

    def verdict(sample: Sample, answer: Answer) -> Score:
        try:
            value = found(sample, answer)
        except Exception as error:
            raise _wrong(
                path, function, f"it raised {type(error).__name__}: {error} at the sample {sample.id}"
            ) from error
        if isinstance(value, Score):
            return value
        if isinstance(value, bool):
            return right(value)
        if isinstance(value, int | float) and 0 <= value <= 1:
            return Score(value=float(value), passed=bool(value) if value in (0, 1) else None)
        raise _wrong(path, function, f"it returned {value!r} at the sample {sample.id}")

    return Scorer(name=name, needs=(), verdict=verdict)


def _function(path: Path, name: str) -> Callable[[Sample, Answer], Any]:
    spec = importlib.util.spec_from_file_location(f"hearth_scorer_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InvalidRequest(f"{path} is no Python file.", param="scorer")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found: Callable[[Sample, Answer], Any] = getattr(module, name)
    except FileNotFoundError:
        raise InvalidRequest(f"There is no file {path}.", param="scorer") from None
    except AttributeError as error:
        raise InvalidRequest(f"{path} has no function {name!r}.", f"{error}.", param="scorer") from None
    except Exception as error:
        raise InvalidRequest(
            f"{path} cannot be used as a scorer.", f"{type(error).__name__}: {error}.", param="scorer"
        ) from error
    return found


def _wrong(path: Path, function: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The scorer {function} of {path} went wrong.",
        f"{why[0].upper()}{why[1:]}.",
        "It must return a bool, a number from 0 to 1, or a Score.",
        param="scorer",
    )

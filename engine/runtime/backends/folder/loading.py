"""What goes wrong while a library loads a model folder, as errors of ours: the libraries' own are of many types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import HearthError, InsufficientMemory, InvalidRequest, ModelLoadFailed, Unsupported
from engine.extras import way_to
from engine.runtime.backends.base import LoadSpec, Progress
from engine.runtime.backends.out_of_memory import is_out_of_memory, out_of_memory
from engine.text_safety import plain
from engine.types import LoadOptions


def stage(spec: LoadSpec, progress: Progress, name: str) -> None:
    """Tell that a load is at `name`. Raises InterruptedError if it is to go no further."""
    if not progress(name, None):
        raise InterruptedError(f"Loading {spec.model} was stopped.")


def missing(spec: LoadSpec, library: str, extra: str, error: ImportError) -> Unsupported:
    """The error for a library that is not installed."""
    return Unsupported(
        f"{spec.model} needs {library}, which is not installed here.",
        f"{error}.",
        way_to(extra),
        param="model",
    )


@contextmanager
def loading(spec: LoadSpec, library: str) -> Iterator[None]:
    """Turns what `library` raises inside into ModelLoadFailed or InsufficientMemory, with its reason."""
    try:
        yield
    except HearthError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise ran_out(spec.model, error) from None
        raise ModelLoadFailed(
            f"{spec.model} cannot be loaded.",
            f"{library}: {plain(str(error), 400)}",
            "Install what it names with the pip of Hearth's environment."
            if isinstance(error, ImportError)
            else f"Get the model again, or choose one whose architecture this {library} knows.",
            param="model",
        ) from None


def check_bits(options: LoadOptions) -> None:
    """Raises InvalidRequest where the weights are to have 4 bits and 8."""
    if options.load_in_4bit and options.load_in_8bit:
        raise InvalidRequest(
            "A model is loaded in 4 bits or in 8, not both.", fix="Ask for one of them.", param="load_in_4bit"
        )


def ran_out(model: str, error: BaseException) -> InsufficientMemory:
    """The error for an allocation that failed under a model folder's library."""
    return out_of_memory(
        model,
        str(error) or "Memory ran out.",
        "Load it in 4 bits (`load_in_4bit`), with fewer slots or a shorter context, or choose a smaller model.",
    )

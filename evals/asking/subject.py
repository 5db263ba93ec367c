"""Who is examined: a model, alias or `model:adapter` of the engine, or `NAME@URL` at an OpenAI-compatible server."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from msgspec import Struct

from engine.errors import InvalidRequest


class Subject(Struct, frozen=True, kw_only=True):
    """One of those that are compared. `url` is empty for a model of this machine's engine."""

    model: str
    url: str = ""

    @property
    def label(self) -> str:
        """What reports and commands call it."""
        return f"{self.model}@{self.url}" if self.url else self.model


def subject(text: str) -> Subject:
    """What `text` names. Raises InvalidRequest for a URL that is none."""
    model, at, url = text.partition("@http")
    if not at:
        if not text.strip():
            raise InvalidRequest("A model has no name.", param="model")
        return Subject(model=text)
    url = f"http{url}".rstrip("/")
    if not url.startswith(("http://", "https://")) or not model:
        raise InvalidRequest(
            f"{text!r} names no model of a server.", fix="Write NAME@http://host:port/v1.", param="model"
        )
    return Subject(model=model, url=url if url.endswith("/v1") else f"{url}/v1")


def subjects(
    models: Sequence[str], *, quantisations: Sequence[str] = (), adapters: Sequence[str] = ()
) -> tuple[Subject, ...]:
    """The matrix: each model in each quantisation with each adapter (`base` is none), in that order, none twice.

    Raises InvalidRequest where a server's model would need an adapter or quantisation of its own.
    """
    found: dict[str, Subject] = {}
    for model, quantisation, adapter in itertools.product(
        models, quantisations or ("",), adapters or ("base",)
    ):
        named = ":".join(part for part in (model, quantisation, "" if adapter == "base" else adapter) if part)
        if named != model and "@http" in model:
            raise InvalidRequest(
                f"{model} is another server's.",
                "Its quantisations and adapters have names of their own there.",
                "Name each as a model.",
                param="model",
            )
        one = subject(named)
        found.setdefault(one.label, one)
    return tuple(found.values())

"""The reader of a backend that gives neither embeddings nor rankings."""

from __future__ import annotations

from typing import NoReturn

from engine.errors import Unsupported


class NoTexts:
    """See `engine.runtime.backends.base.TextReader`. `model` is named in its errors."""

    busy = holds_memory = False

    def __init__(self, model: str) -> None:
        self._model = model

    def embed_job(self, request: object, adapters: object) -> NoReturn:
        raise Unsupported(f"{self._model} gives no embeddings here.", "Its backend has none.", param="model")

    def rank_job(self, request: object) -> NoReturn:
        raise Unsupported(
            f"{self._model} cannot rank documents here.", "Its backend has no ranking.", param="model"
        )

    def begin(self, job: object) -> None: ...

    def step(self) -> tuple[()]:
        return ()

    def cancel(self, job: object) -> None: ...

    def release_if_idle(self, seconds: float) -> bool:
        return False

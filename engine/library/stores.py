"""The stores of other programs whose models are used where they lie: which of them, and where they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.library import lm_studio, ollama_store
from engine.library.lm_studio import LmStudio
from engine.library.ollama_store import OllamaStore
from engine.settings import Models


def stores_of(models: Models, environ: Mapping[str, str] = os.environ) -> tuple[OllamaStore | LmStudio, ...]:
    """Those that the settings leave on: in their usual places, and in the folders that the settings add."""
    found: list[OllamaStore | LmStudio] = []
    if models.ollama:
        further = (Path(folder) for folder in models.ollama_folders)
        found.append(OllamaStore((*ollama_store.folders_of(environ), *further)))
    if models.lm_studio:
        further = (Path(folder) for folder in models.lm_studio_folders)
        found.append(LmStudio((*lm_studio.folders_of(environ), *further)))
    return tuple(found)

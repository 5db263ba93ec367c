"""Ollama's routes, gathered."""

from __future__ import annotations

from api.dialects.ollama import embedding, generating, management, models

ROUTES = [
    generating.generate, generating.chat, embedding.embed, embedding.embeddings, models.show_version,
    models.show_status, models.account, models.tags, models.ps, models.show, management.add, management.push,
    management.copy, management.remove, management.blob,
]  # fmt: skip

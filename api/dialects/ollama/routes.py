"""Ollama's routes, gathered."""

from __future__ import annotations

from api.dialects.ollama import embedding, generating, management, models, pulling

ROUTES = [
    generating.generate, generating.chat, embedding.embed, embedding.embeddings, models.show_version,
    models.show_status, models.account, models.tags, models.ps, models.show, management.create, management.push,
    management.copy, management.blob, *pulling.ROUTES,
]  # fmt: skip

"""Ollama's routes, gathered."""

from __future__ import annotations

from api.dialects.ollama import blobs, embedding, generating, management, models, pulling, showing

ROUTES = [
    generating.generate, generating.chat, embedding.embed, embedding.embeddings, models.show_version,
    models.show_status, models.account, models.tags, models.ps, *showing.ROUTES, *management.ROUTES, *blobs.ROUTES,
    *pulling.ROUTES,
]  # fmt: skip

"""The hub's routes, gathered."""

from __future__ import annotations

from api.dialects.hub import health

ROUTES = [health.root, health.health]

"""Writes a store as Ollama lays it out: manifests that name layers, blobs by their digest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

MEDIA = "application/vnd.ollama.image."


def blob(store: Path, content: Path | bytes) -> tuple[str, int]:
    """Lay a layer into the store; its digest and its size."""
    data = content.read_bytes() if isinstance(content, Path) else content
    digest = hashlib.sha256(data).hexdigest()
    place = store / "blobs" / f"sha256-{digest}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        if isinstance(content, Path):
            # As one file with the model it came from, where that can be.
            try:
                os.link(content, place)
            except OSError:
                shutil.copy(content, place)
        else:
            place.write_bytes(data)
    return f"sha256:{digest}", len(data)


def layer(store: Path, kind: str, content: Path | bytes | str | dict[str, Any] | list[Any]) -> dict[str, Any]:
    """A layer of the media type `kind`, laid into the store."""
    if isinstance(content, dict | list):
        content = json.dumps(content)
    digest, size = blob(store, content.encode() if isinstance(content, str) else content)
    return {"mediaType": MEDIA + kind, "digest": digest, "size": size}


def manifest(
    store: Path,
    name: str,
    layers: list[dict[str, Any]],
    *,
    config: dict[str, Any] | None = None,
    host: str = "registry.ollama.ai",
) -> Path:
    """The manifest of `[namespace/]model[:tag]`; its path."""
    model, _, tag = name.partition(":")
    namespace, _, model = f"library/{model}".rpartition("/")
    path = store / "manifests" / host / namespace.removeprefix("library/") / model / (tag or "latest")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = blob(store, json.dumps(config or {"model_format": "gguf"}).encode())
    said = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": digest,
            "size": size,
        },
        "layers": layers,
    }
    path.write_text(json.dumps(said))
    return path

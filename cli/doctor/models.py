"""The models that are found, what is wrong with them and with aliases of them, and the cache that pulls go to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cli.doctor.check import Check
from engine.settings import Settings, show_size
from engine.types import Listed, ModelEntry

MOST = 5
"""Models that are named one by one."""


def checks(rows: Sequence[Listed], settings: Settings) -> list[Check]:
    """Everything about models: those of the listing, the stores of other programs, the cache."""
    return [*models(rows), *projectors(rows), *aliases(rows), *folders(settings), *stores(settings), cache()]


def models(rows: Sequence[Listed]) -> list[Check]:
    """How many there are, and which cannot be used."""
    entries = [row.entry for row in rows if row.kind == "model" and row.entry is not None]
    broken = [entry for entry in entries if entry.broken]
    by_source: dict[str, int] = {}
    for entry in entries:
        by_source[entry.source] = by_source.get(entry.source, 0) + 1
    said = ", ".join(f"{count} of {source}" for source, count in by_source.items())
    found = [Check("models", "ok", f"{len(entries)} found: {said}")]
    if not entries:
        found = [
            Check("models", "note", "none found", "Fetch one: hearth pull org/name. See models.folders too.")
        ]
    for entry in broken[:MOST]:
        found.append(Check("models", "note", f"{entry.id} cannot be used: {entry.broken}", _remedy(entry)))
    if len(broken) > MOST:
        found.append(
            Check("models", "note", f"{len(broken) - MOST} more cannot be used", "`hearth models` says why.")
        )
    unusable = [(entry.id, name, why) for entry in entries for name, why in entry.broken_adapters.items()]
    for model, name, why in unusable[:MOST]:
        found.append(
            Check("adapters", "note", f"{name} of {model} cannot be used: {why}", "Mend it or take it away.")
        )
    return found


def _remedy(entry: ModelEntry) -> str:
    if entry.removal:
        # Its files are another program's, which shares them among models.
        return f"If it is of no use to you: {entry.removal}"
    if entry.missing:
        # The model itself is sound, and what to do was just said.
        return ""
    return f"Fetch it again, or delete {entry.path}."


def projectors(rows: Sequence[Listed]) -> list[Check]:
    """What is to be known of models that are sound: projectors that cannot be read, templates that cannot be run."""
    entries = [row.entry for row in rows if row.kind == "model" and row.entry is not None]
    seeing = sum(entry.projector is not None for entry in entries)
    found = [Check("projectors", "ok", f"{seeing} models see through one")] if seeing else []
    told = [(entry.id, remark) for entry in entries for remark in entry.remarks]
    for model, remark in told[:MOST]:
        name = "projectors" if "projector" in remark else "models"
        found.append(Check(name, "note", f"{model}: {remark}", f"See hearth show {model}."))
    return found


def aliases(rows: Sequence[Listed]) -> list[Check]:
    """Aliases that are sound by themselves, and of something that is not."""
    wanting = [
        row
        for row in rows
        if (row.alias is not None or row.kind == "name") and row.reason and row.verdict != "too big"
    ]
    return [
        Check(
            "aliases" if row.kind == "alias" else "models",
            "note",
            f"{row.name} cannot be used: {row.reason}",
            # Of a model that is here something else is wrong, which was just said.
            ("Mend that" if row.entry is not None else f"Fetch {row.model}")
            + ", or take the name away: hearth "
            + (f"rm {row.name}" if row.kind == "alias" else f"config unset models.{row.name}"),
        )
        for row in wanting[:MOST]
    ]


def folders(settings: Settings) -> list[Check]:
    """Folders of the settings that are not there, or may not be read: models in them are listed nowhere."""
    found = []
    named = {
        "models.folders": settings.models.folders,
        "models.ollama_folders": settings.models.ollama_folders,
        "models.lm_studio_folders": settings.models.lm_studio_folders,
    }
    for setting, places in named.items():
        for place in places:
            folder = Path(place).expanduser()
            if (shut := _shut(folder)) is not None:
                said = f"{shut} may not be read"
                found.append(Check("model folders", "note", said, f"Let yourself read it: chmod +rx {shut}."))
            elif not folder.is_dir():
                said = f"{folder} of {setting} is not there"
                fix = f"Make or mount it, or take it out of {setting} in your settings file."
                found.append(Check("model folders", "note", said, fix))
    return found


def stores(settings: Settings) -> list[Check]:
    """Stores of other programs that are there and may not be read."""
    from engine.library import lm_studio, ollama_store

    found = []
    for name, is_on, folders, way in (
        ("Ollama", settings.models.ollama, ollama_store.folders_of(), "sudo usermod -aG ollama $USER, or "),
        ("LM Studio", settings.models.lm_studio, lm_studio.folders_of(), ""),
    ):
        for folder in folders if is_on else ():
            if (shut := _shut(folder)) is not None:
                fix = f"Let yourself read it: {way}chmod -R o+rX {folder}."
                found.append(Check(f"models of {name}", "note", f"{shut} may not be read", fix))
    return found


def cache() -> Check:
    """Where pulls go, and whether there is room."""
    from cli.doctor.files import folder
    from cli.doctor.machine import LITTLE_DISK, NO_DISK
    from engine.hub.access import cache_folder
    from engine.hub.plan import disk_free

    place = cache_folder()
    said, free = folder("model cache", place), disk_free(place)
    if said.state == "broken":
        return Check(
            said.name, said.state, said.found, "Make it writable, or set HF_HUB_CACHE to another folder."
        )
    found = f"{show_size(free)} free at {said.found}"
    if free < NO_DISK:
        return Check(said.name, "broken", found, "Free some space (hearth cache prune), or set HF_HUB_CACHE.")
    if free < LITTLE_DISK:
        return Check(
            said.name, "note", found, "Models will hardly fit: hearth cache scan says what takes room."
        )
    return Check(said.name, "ok", found)


def _shut(folder: Path) -> Path | None:
    """The first folder on the way to `folder`, it included, that is there and may not be read."""
    for place in (*reversed(folder.parents), folder):
        try:
            if not place.is_dir():
                return None
        except OSError:
            return place.parent
        if not os.access(place, os.X_OK if place != folder else os.R_OK | os.X_OK):
            return place
    return None

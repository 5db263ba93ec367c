"""What is shown of a search of the hub, as plain data: rows, facts, forms of a model. Knows no widget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.text_safety import plain
from engine.types import HubCard, HubFiles, HubModel, HubPage, ModelEntry, PullState, Quantisation
from tui import units

MOST_LOCAL = 5
"""Models of this machine that stand above the hub's."""
VERDICTS: dict[str, tuple[str, str, str]] = {
    "fits": ("✓", "fits", "success"),
    "tight": ("!", "tight", "text-warning"),
    "too big": ("✗", "too big", "text-error"),
    "unknown": ("–", "unknown", "muted"),
}
"""Glyph, word and colour variable of each verdict."""


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the results: a repository of the hub, or a model that is here."""

    model: HubModel | None = None
    entry: ModelEntry | None = None

    @property
    def id(self) -> str:
        """Its name as engine and hub know it."""
        if self.model is not None:
            return self.model.id
        assert self.entry is not None
        return self.entry.id

    @property
    def state(self) -> tuple[str, str, str]:
        """Glyph, word and colour variable."""
        if self.model is None or self.model.local:
            return "●", "here", "state-ready"
        if self.model.private:
            return "◇", "private", "ctx-warn"
        return ("◇", "gated", "ctx-warn") if self.model.gated else ("○", "", "muted")

    @property
    def fit(self) -> tuple[str, str, str]:
        """Glyph, word and colour variable of its verdict."""
        return VERDICTS[self.model.verdict if self.model is not None else "unknown"]

    @property
    def cells(self) -> tuple[str, ...]:
        """State, name, parameters, verdict, formats, downloads, likes, last change: clean text."""
        if self.model is None:
            assert self.entry is not None
            size = units.parameters(self.entry.parameters)
            return ("", plain(self.entry.id), size, "", plain(self.entry.format, 12), "–", "–", "–")
        model = self.model
        return (
            "",
            plain(model.id),
            units.parameters(model.parameters),
            self.fit[1] if model.verdict != "unknown" else "–",
            " ".join(model.libraries) or "–",
            units.count(model.downloads),
            units.count(model.likes),
            plain(model.modified[:10]) or "–",
        )


def results(page: HubPage | None, here: Sequence[ModelEntry], words: str) -> list[Found]:
    """What is here, then what the hub has. Without an answer of the hub's, all of the former."""
    models = () if page is None else page.models
    wanted = words.lower().split()
    local = [
        Found(entry=entry)
        for entry in here
        if not entry.broken and all(word in entry.id.lower() for word in wanted)
    ]
    if models:
        names = {model.id.lower() for model in models}
        local = [found for found in local if found.id.partition(":")[0].lower() not in names]
        local = local[:MOST_LOCAL] if wanted else []
    known = {entry.id.partition(":")[0].partition("@")[0].lower() for entry in here if not entry.broken}
    return [
        *local,
        *(
            # What came since the search is here too.
            Found(model=replace(model, local=True) if model.id.lower() in known else model)
            for model in models
        ),
    ]


def narrowed(page: HubPage, words: str) -> HubPage:
    """What of an earlier answer may be in that for `words` too."""
    wanted = words.lower().split()
    kept = tuple(model for model in page.models if all(word in model.id.lower() for word in wanted))
    return HubPage(models=kept)


def facts(model: HubModel) -> list[str]:
    """What the search says of it, in short."""
    said = [
        f"{units.parameters(model.parameters)} parameters" if model.parameters else "",
        plain(model.architecture, 24),
        f"{units.window(model.context)} window" if model.context else "",
        plain(model.task, 30),
        plain(model.licence, 30),
        f"{units.count(model.downloads)} downloads",
        f"{units.count(model.likes)} likes",
        plain(model.modified[:10]),
    ]
    return [word for word in said if word]


def packed(words: Sequence[str], width: int) -> list[str]:
    """`words` in rows with a dot between them, none of them torn apart."""
    rows: list[str] = []
    for word in words:
        if rows and len(rows[-1]) + 3 + len(word) <= width:
            rows[-1] += f" · {word}"
        else:
            rows.append(word)
    return rows


def origin(card: HubCard) -> str:
    """What it was made from; empty if it does not say."""
    return ", ".join(plain(name, 80) for name in card.base[:3])


def form_cells(form: Quantisation, pull: PullState | None) -> tuple[str, ...]:
    """Name, size, need, verdict of a form: clean text."""
    glyph, word, _ = VERDICTS[form.verdict]
    if pull is not None:
        share = f" {pull.done / pull.size:.0%}" if pull.size else ""
        verdict = f"⇣{share or ' pulled'}"
    elif form.size and form.present >= form.size:
        verdict = "● here"
    else:
        verdict = f"{glyph} {word}"
    return (plain(form.name), units.size(form.size), units.size(form.need), verdict)


def pulls_of(model: str, states: Iterable[PullState]) -> dict[str, PullState]:
    """The pulls of a repository that go on, by the name of the form; the empty name is the model folder's."""
    return {
        state.model.partition(":")[2]: state
        for state in states
        if not state.ended and state.model.partition(":")[0].partition("@")[0].lower() == model.lower()
    }


def advice(files: HubFiles) -> str:
    """What is to be known of all forms together."""
    if not files.quantisations:
        return "Nothing here that Hearth could run: neither GGUF files nor safetensors."
    free = f"{units.size(files.free)} are free. " if files.free else ""
    if any(form.recommended for form in files.quantisations):
        return f"{free}★ is best here, and what p pulls."
    if all(form.verdict == "too big" for form in files.quantisations):
        return f"{free}None of these fits into this machine's memory."
    return free.strip()

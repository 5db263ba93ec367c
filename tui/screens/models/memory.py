"""The card's lines about memory: what a load would take of each device, or what was predicted beside what it took."""

from __future__ import annotations

from textual.content import Content

from engine.errors import ErrorInfo
from engine.text_safety import plain
from engine.types import Estimate, LoadedModel
from tui.screens.models.fit_bar import fit_bar, legend
from tui.telling import memory

LABEL, COLUMN = 11, 9
BAR = 14
ABREAST = 3
"""Columns beside each other; further devices come below."""


def verdict(found: Estimate | ErrorInfo | None) -> list[Content]:
    """Whether it fits and what follows, why that cannot be told, or that it is looked into."""
    if found is None:
        return [Content.styled("… estimating its memory", "$muted")]
    if isinstance(found, ErrorInfo):
        return [Content.styled(f"– {plain(found.sentence(), 200)}", "$muted")]
    said, follows = memory.verdict(found), memory.consequences(found)
    if not found.fits:
        first = Content.assemble(("✗ ", "$text-error"), (said, "bold $text-error"))
    elif follows or found.verdict == "tight":
        first = Content.assemble(("! ", "$text-warning"), said)
    else:
        first = Content.assemble(("✓ ", "$success"), said)
    return [first, *(Content(sentence) for sentence in follows)]


def before_a_load(estimate: Estimate) -> list[Content]:
    """What it would take of each device, and what is to be known of the figures."""
    table = memory.needs(estimate)
    parts = [
        (device.weights, device.kv_cache, device.compute + device.projector, need - device.total)
        for need, device in zip(memory.needed(estimate), estimate.devices, strict=True)
    ]
    bars = [
        Content.assemble(
            (f"{name:<{LABEL}}", "$muted"),
            fit_bar(each, device.free, BAR),
            f" {sum(each) / device.free:>5.0%}",
            (" of free", "$muted"),
        )
        for name, each, device in zip(table.columns, parts, estimate.devices, strict=True)
        if device.free
    ]
    every = [sum(sizes) for sizes in zip(*parts, strict=True)] if bars else []
    return [
        *_table("memory before a load", table),
        *bars,
        *([legend(every)] if bars else []),
        *(Content.styled(remark, "$muted") for remark in memory.remarks(estimate)),
    ]


def in_memory(model: LoadedModel) -> list[Content]:
    """What was predicted for a model in memory beside what the allocator says; nothing where nothing is known."""
    table = memory.compared(model.estimate, model.memory)
    return _table("memory", table) if table.rows else []


def _table(title: str, table: memory.Table) -> list[Content]:
    lines: list[Content] = []
    for start in range(0, max(1, len(table.columns)), ABREAST):
        columns = slice(start, start + ABREAST)
        if lines:
            lines.append(Content(""))
        head = "".join(name.rjust(COLUMN) for name in table.columns[columns])
        lines.append(Content.styled(" " * LABEL + head, "$muted"))
        for label, cells in table.rows:
            figures = "".join(cell.rjust(COLUMN) for cell in cells[columns])
            style = "bold" if label == "needs" else ""
            lines.append(Content.assemble((f"{label:<{LABEL}}", "$muted"), (figures, style)))
    return [Content.styled(title, "bold"), *lines]

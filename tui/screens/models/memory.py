"""The card's lines about memory: what a load would take of each device, or what was predicted beside what it took."""

from __future__ import annotations

from textual.content import Content

from engine.errors import ErrorInfo
from engine.text_safety import plain
from engine.types import Estimate, LoadedModel
from tui.telling import memory
from tui.telling.waiting import bar

LABEL, COLUMN = 11, 10
ABREAST = 3
"""Columns beside each other; further devices come below."""


def verdict(found: Estimate | ErrorInfo | None) -> Content:
    """One line: whether it fits, why that cannot be told, or that it is looked into."""
    if found is None:
        return Content.styled("… estimating its memory", "$muted")
    if isinstance(found, ErrorInfo):
        return Content.assemble(("– ", "$muted"), (plain(found.sentence(), 200), "$muted"))
    said = memory.verdict(found)
    if not found.fits:
        return Content.assemble(("✗ ", "$text-error"), (said, "bold $text-error"))
    if found.advice or found.leaving:
        return Content.assemble(("! ", "$text-warning"), said)
    return Content.assemble(("✓ ", "$success"), said)


def before_a_load(estimate: Estimate) -> list[Content]:
    """What it would take of each device, and what is to be known of the figures."""
    shares = [
        bar(device.total / device.free, COLUMN - 2) if device.free else "" for device in estimate.devices
    ]
    return [
        *_table("memory before a load", memory.needs(estimate), shares),
        *(Content.styled(remark, "$muted") for remark in memory.remarks(estimate)),
    ]


def in_memory(model: LoadedModel) -> list[Content]:
    """What was predicted for a model in memory beside what the allocator says; nothing where nothing is known."""
    table = memory.compared(model.estimate, model.memory)
    return _table("memory", table, []) if table.rows else []


def _table(title: str, table: memory.Table, shares: list[str]) -> list[Content]:
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
        if any(shares[columns]):
            bars = "".join(share.rjust(COLUMN) for share in shares[columns])
            lines.append(Content.assemble((f"{'of free':<{LABEL}}", "$muted"), (bars, "$gauge")))
    return [Content.styled(title, "bold"), *lines]

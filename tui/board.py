"""Draws cards into lines of a given width, side by side; charts grow until the room is full. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui import charts
from tui.telling.machine import Card, Chart, Figure

LABEL, VALUE = 9, 17
"""Cells of a figure's name and of its text."""
NARROWEST = 34
GAP = 3
"""Cells between cards side by side."""
LEAST_ROWS, GOOD_ROWS = 2, 5
"""Lines of a chart."""
MOST_LINES = 24
"""Lines of a card."""
HOLD_S = 65.0
"""A kept point holds until the next one is due, and one more."""
CORE = 17
"""Cells of a core that has a bar of its own."""
LEVELS = {"": "$gauge", "warn": "$ctx-warn", "error": "$ctx-error"}
PARTS = ("$gauge", "$secondary")


def board(cards: Sequence[Card], width: int, height: int, *, now: float, span: float) -> list[Content]:
    """The lines of all cards in `width` cells.

    Cards are as wide as `height` lines leave them with charts of a good height; charts grow until the room is full.
    Where it is too small for all, blank lines and charts go; what is higher still scrolls, with all of them.
    """
    rows, widths = _laid_out(cards, width, height)
    heads = [max(_head(card, wide) for card in row) for row, wide in zip(rows, widths, strict=True)]
    # A card with a short head leaves the room of the others to its chart.
    whole = [
        max(_head(card, wide) + _of_chart(card, LEAST_ROWS) for card in row)
        for row, wide in zip(rows, widths, strict=True)
    ]
    if sum(heads) > height:
        heights, gap = whole, 1
    else:
        heights, gap = _dealt(heads, whole, height)
    lines: list[Content] = []
    for row, wide, total in zip(rows, widths, heights, strict=True):
        if lines and gap:
            lines.append(Content(""))
        drawn = [_card(card, wide, total, now=now, span=span) for card in row]
        lines += [
            Content(" " * GAP).join([_fitted(card[line], wide) for card in drawn]) for line in range(total)
        ]
    return lines


def _laid_out(cards: Sequence[Card], width: int, height: int) -> tuple[list[Sequence[Card]], list[int]]:
    """The rows of cards with the width of each one's cards: as many rows as leave charts a good height."""
    most = max(1, (width + GAP) // (NARROWEST + GAP))
    fewest = -(-len(cards) // most)
    rows: list[Sequence[Card]] = []
    widths: list[int] = []
    for count in range(len(cards), fewest - 1, -1):
        abreast = -(-len(cards) // count)
        rows = [cards[start : start + abreast] for start in range(0, len(cards), abreast)]
        widths = [(width - GAP * (len(row) - 1)) // len(row) for row in rows]
        good = sum(
            max(_head(card, wide) + _of_chart(card, GOOD_ROWS) for card in row)
            for row, wide in zip(rows, widths, strict=True)
        )
        if good + len(rows) - 1 <= height:
            break
    return rows, widths


def _dealt(heads: Sequence[int], whole: Sequence[int], height: int) -> tuple[list[int], int]:
    """The lines of each row, and whether blank ones are between them: `whole` is with the smallest charts."""
    found, room = list(heads), height - sum(heads)
    for place in sorted(range(len(found)), key=lambda place: whole[place] - heads[place]):
        if whole[place] - heads[place] <= room:
            room -= whole[place] - heads[place]
            found[place] = whole[place]
    gap = int(room >= len(found) - 1)
    room -= gap * (len(found) - 1)
    growing = [place for place in range(len(found)) if found[place] > heads[place]]
    for _ in range(room if growing else 0):
        smallest = min(growing, key=lambda place: found[place])
        if found[smallest] < MOST_LINES:
            found[smallest] += 1
    return found, gap


def _of_chart(card: Card, rows: int) -> int:
    return 1 + rows if card.chart is not None else 0


def _head(card: Card, width: int) -> int:
    """Lines of a card above its chart."""
    return 1 + len(_cores(card.cores, width)) + len(card.figures) + len(card.remarks)


def _card(card: Card, width: int, height: int, *, now: float, span: float) -> list[Content]:
    lines = [_title(card, width), *_cores(card.cores, width)]
    lines += [_figure(figure, width, now=now, span=span) for figure in card.figures]
    lines += [Content.styled(remark, "$muted") for remark in card.remarks]
    if card.chart is not None and height - len(lines) >= 3:
        lines += _chart(card.chart, width, height - len(lines) - 1, now=now, span=span)
    return [*lines, *[Content("")] * (height - len(lines))]


def _title(card: Card, width: int) -> Content:
    note = Content(card.note).truncate(max(0, width - len(card.title) - 6), ellipsis=True)
    rule = "─" * max(1, width - len(card.title) - note.cell_length - 1 - bool(card.note))
    return Content.assemble(
        (card.title, "bold $primary"),
        " ",
        (rule, "$line"),
        " " if card.note else "",
        note.stylize("$muted"),
    )


def _figure(figure: Figure, width: int, *, now: float, span: float) -> Content:
    colour = LEVELS[figure.level]
    mark = {"": " ", "warn": "!", "error": "!"}[figure.level]
    head = [
        (f"{figure.label:<{LABEL}}", "$muted"),
        (f"{figure.text:<{VALUE - 2}}"[: max(VALUE - 2, len(figure.text))], ""),
        (f"{mark} ", colour),
    ]
    room = width - LABEL - max(VALUE, len(figure.text) + 2)
    if room < 4:
        return Content.assemble(*head)
    if figure.parts:
        *parts, track = charts.stacked(figure.parts, room)
        colours = (colour, colour) if figure.level else PARTS
        drawn = [(part, colours[place]) for place, part in enumerate(parts)]
        return Content.assemble(*head, *drawn, (track, "$gauge-track"))
    if figure.curve:
        values = charts.resampled(figure.curve, now - span, now, room, hold=_hold(span))
        return Content.assemble(
            *head, (charts.spark(values, figure.top or charts.ceiling(values, 1.0)), colour)
        )
    return Content.assemble(*head)


def _chart(chart: Chart, width: int, height: int, *, now: float, span: float) -> list[Content]:
    values = charts.resampled(chart.curve, now - span, now, width * charts.DOTS_WIDE, hold=_hold(span))
    top = chart.top or charts.ceiling(values, 10.0)
    known = [value for value in values if value is not None]
    if chart.unit == "%":
        said = f"mean {sum(known) / len(known):.0%} · most {max(known):.0%}" if known else "nothing yet"
        edge = f"{top:.0%}"
    else:
        said = f"most {max(known):,.0f} {chart.unit}" if known else "nothing yet"
        edge = f"{top:,.0f}"
    caption = Content.styled(f"{chart.label}, {said}", "$muted")
    caption = caption.pad_right(max(0, width - caption.cell_length - len(edge)))
    head = Content.assemble(caption, (edge, "$muted"))
    return [head, *(Content.styled(line, "$gauge") for line in charts.area(values, height, top))]


def _cores(cores: Sequence[float], width: int) -> list[Content]:
    """A bar for each core where there is room for all in three lines; else a column for each, two lines high."""
    abreast = max(1, (width + 1) // (CORE + 1))
    if len(cores) <= 3 * abreast:
        lines = []
        each = (width + 1) // abreast - 1
        for start in range(0, len(cores), abreast):
            parts: list[Content] = []
            for number, share in enumerate(cores[start : start + abreast], start):
                bar, track = charts.stacked([share], each - 8)
                parts.append(
                    Content.assemble(
                        (f"{number:>2} ", "$muted"),
                        (bar, "$gauge"),
                        (track, "$gauge-track"),
                        f"{share:>5.0%}",
                    )
                )
            lines.append(Content(" ").join(parts))
        return lines
    lines = []
    wide = 2 if 2 * len(cores) <= width else 1
    for start in range(0, len(cores), width):
        drawn = charts.columns([core for core in cores[start : start + width] for _ in range(wide)], 2)
        lines += [Content.styled(line, "$gauge") for line in drawn]
    return lines


def _hold(span: float) -> float:
    """How long a point holds: the store gives a long time in wider steps."""
    return max(HOLD_S, span / 300)


def _fitted(content: Content, width: int) -> Content:
    content = content.truncate(width, ellipsis=True)
    return content.pad_right(max(0, width - content.cell_length))

"""A report as one HTML page that needs nothing else: styles and charts within, no script, no address."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Final

from cli.stats import tables
from cli.stats.curves import Panel, panels, ticks
from cli.stats.gathered import DEFINITIONS, Gathered
from engine.text_safety import clean
from engine.types import Traffic

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 460, 170, 46, 22, 8
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d1d1f;--dim:#6b6b70;--line:#d9d9de;--one:#c2622d;--two:#3b78c2;--back:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8e6e3;--dim:#9a9aa0;--line:#3a3a3f;--one:#e08a52;--two:#7fb0e8;
--back:#18181a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:980px;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem}.dim,figcaption span{color:var(--dim)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:1rem 2rem}
figure{margin:0}figcaption{font-weight:600;font-size:14px}
svg{width:100%;height:auto;font-size:11px}svg text{fill:var(--dim)}.grid{stroke:var(--line);fill:none}
.one{stroke:var(--one);fill:none;stroke-width:1.5}.two{stroke:var(--two);fill:none;stroke-width:1.5}
.area{fill:var(--one);opacity:.25;stroke:none}.key{font-weight:400;font-size:13px}.k1{color:var(--one)}.k2{color:var(--two)}
table{border-collapse:collapse;display:block;overflow-x:auto;font-size:14px}
td,th{border-bottom:1px solid var(--line);padding:.3rem .9rem .3rem 0;text-align:right;white-space:nowrap}
td:first-child,th:first-child,td:last-child.note{text-align:left}th{color:var(--dim);font-weight:600}
dt{font-weight:600}dd{margin:0 0 .4rem 1rem;color:var(--dim)}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Gathered) -> bytes:
    """The whole page."""
    title = "Throughput and latency"
    about = f"Hearth, {time.strftime('%Y-%m-%d %H:%M', time.localtime(found.made))}"
    if only := tables.narrowed(found):
        about += f" · {only}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f'<p class="dim">{_text(about)}</p><p>{_text(tables.headline(found))}.</p>',
        '<div class="charts">',
        *(_figure(panel, found.traffic) for panel in panels(found.traffic)),
        "</div>",
        f"<h2>By {_text(found.by)}</h2>",
        _table(tables.group_rows(found)),
        "<h2>Percentiles</h2>",
        _table(tables.spread_rows(found)),
        "<h2>Slowest requests</h2>",
        _table(tables.slow_rows(found)),
        "<h2>Definitions</h2><dl>",
        *(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in DEFINITIONS),
        "</dl></body></html>",
    ]
    return ("\n".join(parts) + "\n").encode()


def _figure(panel: Panel, traffic: Traffic) -> str:
    keys = ""
    if len(panel.lines) > 1:
        keys = "".join(
            f' <span class="key k{place}">■ {_text(name)}</span>'
            for place, (name, _) in enumerate(panel.lines, 1)
        )
    caption = f"<figcaption>{_text(panel.title)} <span>{_text(panel.unit)}</span>{keys}</figcaption>"
    return f"<figure>{caption}{_svg(panel, traffic)}</figure>"


def _svg(panel: Panel, traffic: Traffic) -> str:
    top, wide, high = panel.top, WIDTH - LEFT, HEIGHT - BELOW - ABOVE
    count = max(1, len(panel.lines[0][1]))

    def x(place: float) -> float:
        return LEFT + wide * (place + 0.5) / count

    def y(value: float) -> float:
        return ABOVE + high * (1 - value / top)

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts += [
            f'<path class="grid" d="M{LEFT} {y(top * share):.1f}H{WIDTH}"/>',
            f'<text x="{LEFT - 6}" y="{y(top * share) + 4:.1f}" text-anchor="end">{top * share:g}</text>',
        ]
    for share, text in ticks(traffic, 5):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        parts.append(
            f'<text x="{LEFT + wide * share:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{_text(text)}</text>'
        )
    for number, (_, values) in enumerate(panel.lines):
        for run in runs(values):
            drawn = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in run)
            if panel.filled and number == 0:
                ground = y(0)
                parts.append(
                    f'<polygon class="area" points="{x(run[0][0]):.1f},{ground:.1f} {drawn} '
                    f'{x(run[-1][0]):.1f},{ground:.1f}"/>'
                )
            kind = ("one", "two")[number % 2]
            if len(run) == 1:
                parts.append(
                    f'<circle class="{kind}" cx="{x(run[0][0]):.1f}" cy="{y(run[0][1]):.1f}" r="1.5"/>'
                )
            else:
                parts.append(f'<polyline class="{kind}" points="{drawn}"/>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches without a gap, as places and values."""
    found: list[list[tuple[int, float]]] = []
    before = None
    for place, value in enumerate(values):
        if value is None:
            continue
        if before is None or place != before + 1:
            found.append([])
        found[-1].append((place, value))
        before = place
    return found


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *rest = rows
    if not rest:
        return '<p class="dim">None.</p>'
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rest)
    return f"<table><tr>{''.join(f'<th>{_text(cell.lower())}</th>' for cell in head)}</tr>{body}</table>"


def _text(text: str) -> str:
    return escape(clean(text))

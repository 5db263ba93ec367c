"""Charts as SVG text for reports: no script, no font, no address; colours follow the page's light or dark scheme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 720
_LEFT, _RIGHT, _ROW = 220, 70, 26


def intervals(rows: Sequence[tuple[str, float, float, float]], *, low: float = 0.0, high: float = 1.0) -> str:
    """A bar a row with its interval: label, value, lower and upper end; the axis from `low` to `high`."""
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (min(max(value, low), high) - low) / span

    parts = _frame(len(rows), low, high)
    for place, (label, value, lower, upper) in enumerate(rows):
        middle = place * _ROW + _ROW / 2
        parts += [
            _label(label, middle),
            f'<rect class="bar" x="{x(low):.1f}" y="{middle - 7:.1f}" width="{x(value) - x(low):.1f}" height="14"/>',
            f'<path class="whisker" d="M{x(lower):.1f} {middle:.1f}H{x(upper):.1f}'
            f'M{x(lower):.1f} {middle - 5:.1f}v10M{x(upper):.1f} {middle - 5:.1f}v10"/>',
            f'<text x="{WIDTH - _RIGHT + 8}" y="{middle + 4:.1f}">{value:.3f}</text>',
        ]
    return _svg(parts, len(rows))


def groups(names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """A group of thin bars for each name, one for each of at most six series of shares."""
    shown = list(series)[:6]
    parts = _frame(len(names), 0.0, 1.0)
    thick = (_ROW - 6) / max(1, len(shown))
    for place, name in enumerate(names):
        top = place * _ROW + 3
        parts.append(_label(name, place * _ROW + _ROW / 2))
        for number, (_, values) in enumerate(shown):
            width = (WIDTH - _LEFT - _RIGHT) * (values[place] if values[place] == values[place] else 0.0)
            parts.append(
                f'<rect class="s{number}" x="{_LEFT}" y="{top + number * thick:.1f}" '
                f'width="{width:.1f}" height="{max(1.0, thick - 1):.1f}"/>'
            )
    keys = " ".join(
        f'<span class="key s{number}">{escape(name)}</span>' for number, (name, _) in enumerate(shown)
    )
    return f"<p>{keys}</p>{_svg(parts, len(names))}"


def _frame(rows: int, low: float, high: float) -> list[str]:
    parts = []
    for step in range(5):
        place = _LEFT + (WIDTH - _LEFT - _RIGHT) * step / 4
        value = low + (high - low) * step / 4
        parts += [
            f'<path class="grid" d="M{place:.1f} 0V{rows * _ROW}"/>',
            f'<text class="tick" x="{place:.1f}" y="{rows * _ROW + 16}">{value:.3g}</text>',
        ]
    return parts


def _label(text: str, middle: float) -> str:
    shown = text if len(text) <= 32 else f"{text[:31]}…"
    return f'<text class="label" x="{_LEFT - 10}" y="{middle + 4:.1f}">{escape(shown)}</text>'


def _svg(parts: Sequence[str], rows: int) -> str:
    height = rows * _ROW + 24
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">{"".join(parts)}</svg>'

"""Sums and percentiles as rows of text, for the terminal and for reports."""

from __future__ import annotations

import time

from cli.stats.gathered import Gathered
from tui import units
from tui.screens.metrics.overview import energy, sums
from tui.screens.metrics.views import MEASURES, SPANS, reason_word

NONE = "-"


def headline(found: Gathered) -> str:
    """One line: span, requests, tokens, energy."""
    counted = sums(found.traffic)
    span = found.query.seconds
    said = "all time" if span is None else f"the last {SPANS.get(span) or lasting(span)}"
    parts = [f"{counted['requests']:,} requests in {said}"]
    if counted["failed"]:
        parts.append(f"{counted['failed']:,} failed")
    parts.append(f"{counted['written']:,} tokens written")
    parts.append(f"{counted['prompt'] - counted['cached']:,} read, {counted['cached']:,} cached")
    if found.traffic.energy is not None:
        parts.append(energy(found.traffic.energy))
    return ", ".join(parts)


def lasting(seconds: float) -> str:
    """A length of time: `3 days`, `5 h`, `90 s`."""
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def narrowed(found: Gathered) -> str:
    """What requests are narrowed to; empty: nothing."""
    names = {name: getattr(found.query, name) for name in ("model", "alias", "adapter", "client")}
    return ", ".join(f"{name} {value or 'none'}" for name, value in names.items() if value is not None)


def group_rows(found: Gathered) -> list[tuple[str, ...]]:
    """A row a group under heads."""
    rows: list[tuple[str, ...]] = [
        (
            found.by.upper(),
            "REQUESTS",
            "FAILED",
            "READ",
            "CACHED",
            "WRITTEN",
            "TOK/S",
            "TTFT P50",
            "TTFT P95",
            "MEAN",
        )
    ]
    for group in found.groups:
        cached = f"{group.cached_tokens / group.prompt_tokens:.0%}" if group.prompt_tokens else NONE
        rows.append(
            (
                group.name or "none",
                f"{group.requests:,}",
                f"{group.failed:,}" if group.failed else NONE,
                units.count(group.prompt_tokens - group.cached_tokens),
                cached,
                units.count(group.completion_tokens),
                NONE if group.decode_rate is None else f"{group.decode_rate:.1f}",
                _short(group.ttft_p50),
                _short(group.ttft_p95),
                _short(group.total_mean),
            )
        )
    return rows


def spread_rows(found: Gathered) -> list[tuple[str, ...]]:
    """A row a measure under heads; of those that nothing had, none."""
    rows: list[tuple[str, ...]] = [
        ("MEASURE", "COUNT", "MEAN", "STDEV", "LEAST", "P50", "P90", "P95", "P99", "MOST", "")
    ]
    for each in found.distributions:
        if each.count:
            values = (each.mean, each.stdev, each.least, each.p50, each.p90, each.p95, each.p99, each.most)
            rows.append(
                (
                    each.measure,
                    f"{each.count:,}",
                    *(_exact(value) for value in values),
                    MEASURES[each.measure],
                )
            )
    return rows


def slow_rows(found: Gathered) -> list[tuple[str, ...]]:
    """The slowest requests under heads."""
    rows: list[tuple[str, ...]] = [
        ("ENDED", "MODEL", "CLIENT", "TOKENS", "QUEUE", "LOAD", "PREFILL", "DECODE", "TTFT", "TOTAL", "END")
    ]
    for each in found.slowest:
        phases = (each.queue, each.load, each.prefill, each.decode, each.ttft, each.total)
        rows.append(
            (
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.t_unix)),
                each.alias or each.model,
                each.client or each.source,
                f"{each.prompt_tokens}→{each.completion_tokens}",
                *(_short(value or None) for value in phases),
                reason_word(each),
            )
        )
    return rows


def _short(value: float | None) -> str:
    return NONE if value is None else units.seconds(value)


def _exact(value: float | None) -> str:
    if value is None:
        return NONE
    return (
        f"{value * 1e3:.3g} ms"
        if value < 0.9995
        else f"{value:.3g} s"
        if value < 999.5
        else f"{value:,.0f} s"
    )

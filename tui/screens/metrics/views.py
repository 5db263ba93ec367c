"""What the lists of the Metrics workspace say, and the detail of a request, as plain data. Knows no widget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from textual.content import Content

from engine.text_safety import plain
from engine.types import Dimension, Distribution, Phase, SlowRequest, TrafficGroup
from tui import units
from tui.row_list import Column
from tui.waterfall import phases, waterfall

NAMES: Final = ("overview", "groups", "percentiles", "slow", "sql")
TITLES: Final = {
    "overview": "Overview",
    "groups": "Breakdown",
    "percentiles": "Percentiles",
    "slow": "Slow requests",
    "sql": "SQL",
}
SPANS: Final[dict[float | None, str]] = {
    900.0: "15 min",
    3600.0: "1 h",
    6 * 3600.0: "6 h",
    86_400.0: "24 h",
    7 * 86_400.0: "7 days",
    30 * 86_400.0: "30 days",
    90 * 86_400.0: "90 days",
    None: "all time",
}
DIMENSIONS: Final[tuple[Dimension, ...]] = ("model", "alias", "adapter", "client", "source")
ONLY: Final = ("model", "alias", "adapter", "client")
"""What requests can be narrowed to."""
PHASES: Final[tuple[Phase, ...]] = ("total", "ttft", "queue", "load", "prefill", "decode")
MEASURES: Final = {
    "queue": "waiting in line",
    "load": "loading the model",
    "prefill": "reading the prompt",
    "ttft": "until the first token",
    "decode": "writing the answer",
    "token": "a token after the first",
    "total": "all of it",
}
COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "groups": (
        Column("name", 0),
        Column("requests", 9, right=True),
        Column("failed", 7, right=True, least=66),
        Column("read", 8, right=True, least=104),
        Column("cached", 7, right=True, least=92),
        Column("written", 8, right=True),
        Column("tok/s", 7, right=True),
        Column("first p50", 10, right=True, least=58),
        Column("first p95", 10, right=True),
        Column("mean", 8, right=True, least=112),
    ),
    "percentiles": (
        Column("measure", 0),
        Column("count", 7, right=True, least=64),
        Column("mean", 9, right=True, least=90),
        Column("stdev", 9, right=True, least=120),
        Column("least", 9, right=True, least=110),
        Column("p50", 9, right=True),
        Column("p90", 9, right=True),
        Column("p95", 9, right=True, least=74),
        Column("p99", 9, right=True),
        Column("most", 9, right=True, least=100),
    ),
    "slow": (
        Column("ended", 14),
        Column("model", 0),
        Column("client", 12, least=70),
        Column("tokens", 11, right=True, least=84),
        Column("first", 8, right=True),
        Column("total", 8, right=True),
        Column("end", 11),
    ),
}
_NUMBERS: Final = (
    "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT", "DOUBLE",
    "FLOAT", "DECIMAL",
)  # fmt: skip
NOTHING: Final = "Nothing has been asked yet.\n\nWhat the chat, jobs and other programs ask shows up here."


def nothing_within(span: float | None, narrowed: str) -> str:
    """What stands in an empty list."""
    if narrowed:
        return f"No request of {plain(narrowed, 60)} in the last {SPANS[span]}.\n\nescape shows all requests."
    if span is None:
        return NOTHING
    return f"No request has ended in the last {SPANS[span]}.\n\n+ shows a longer time."


def group_cell(group: TrafficGroup, column: str) -> Content:
    """What a column of the breakdown says."""
    match column:
        case "name":
            return Content(plain(group.name, 120)) if group.name else Content.styled("none", "$muted")
        case "requests":
            return Content(units.count(group.requests))
        case "failed":
            if not group.failed:
                return _none()
            return Content.styled(f"! {units.count(group.failed)}", "$text-warning")
        case "read":
            return Content(units.count(group.prompt_tokens - group.cached_tokens))
        case "cached":
            if not group.prompt_tokens:
                return _none()
            return Content(f"{group.cached_tokens / group.prompt_tokens:.0%}")
        case "written":
            return Content(units.count(group.completion_tokens))
        case "tok/s":
            return _none() if group.decode_rate is None else Content(f"{group.decode_rate:.1f}")
        case "first p50":
            return _seconds(group.ttft_p50)
        case "first p95":
            return _seconds(group.ttft_p95)
        case _:
            return _seconds(group.total_mean)


def spread_cell(spread: Distribution, column: str) -> Content:
    """What a column of the percentile table says."""
    match column:
        case "measure":
            meaning = MEASURES.get(spread.measure, "")
            return Content.assemble(f"{spread.measure:<8}", (f" {meaning}", "$muted"))
        case "count":
            return Content(units.count(spread.count)) if spread.count else _none()
        case _:
            value: float | None = getattr(spread, column)
            return _fine(value)


def slow_cell(request: SlowRequest, column: str) -> Content:
    """What a column of the slow requests says."""
    match column:
        case "ended":
            return Content.styled(time.strftime("%m-%d %H:%M:%S", time.localtime(request.t_unix)), "$muted")
        case "model":
            alias = plain(request.alias, 60)
            model = plain(request.model, 100)
            return Content.assemble(alias, (f" → {model}", "$muted")) if alias else Content(model)
        case "client":
            return Content(plain(request.client or request.source, 40) or "–")
        case "tokens":
            return Content(f"{units.count(request.prompt_tokens)}→{units.count(request.completion_tokens)}")
        case "first":
            return _seconds(request.ttft or None)
        case "total":
            return Content(units.seconds(request.total))
        case _:
            return reason(request)


def reason(request: SlowRequest) -> Content:
    """Glyph and word; colour never alone."""
    glyph, colour = {
        "finished": ("✓", "$success"),
        "failed": ("✗", "$error"),
        "cancelled": ("○", "$muted"),
    }.get(request.reason, ("•", "$secondary"))
    return Content.assemble((f"{glyph} ", colour), reason_word(request))


def reason_word(request: SlowRequest) -> str:
    """How it ended, and why where it failed."""
    return plain(request.error_code or request.reason, 40)


def detail(request: SlowRequest, width: int) -> list[Content]:
    """Everything about a request, with the waterfall."""
    parts = phases(
        queue=request.queue,
        load=request.load,
        prefill=request.prefill,
        decode=request.decode,
        total=request.total,
    )
    computed = max(0, request.prompt_tokens - request.cached_tokens)
    rest = request.completion_tokens - request.choices
    rate = rest / request.decode if rest > 0 and request.decode > 0 else 0.0
    read = computed / request.prefill if computed and request.prefill else 0.0
    ended = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(request.t_unix))
    found = [
        Content.assemble(reason(request), (f" {plain(request.error_code or '', 60)}", "$muted")),
        _heading(f"Time, {units.seconds(request.total)} in all", width),
        *waterfall(parts, width),
        Content(""),
    ]
    found += table(
        {
            "ended": ended,
            "model": request.model,
            "alias": request.alias,
            "adapter": request.adapter,
            "client": request.client,
            "through": request.source,
            "class": request.priority,
            "backend": request.backend,
            "first": f"{units.seconds(request.ttft)} until the first token" if request.ttft else "",
            "prompt": f"{request.prompt_tokens:,} tokens, {computed:,} computed"
            + (f", {read:,.0f} a second" if read else "")
            if request.prompt_tokens
            else "",
            "answer": f"{request.completion_tokens:,} tokens" + (f", {rate:,.1f} a second" if rate else "")
            if request.completion_tokens
            else "",
            "reasoning": f"{request.reasoning_tokens:,} of them" if request.reasoning_tokens else "",
            "window": f"{request.context:,} tokens" if request.context else "",
            "choices": str(request.choices) if request.choices > 1 else "",
            "form": "held to a grammar" if request.constrained else "",
            "tools": str(request.tools) if request.tools else "",
            "id": request.id,
        }
    )
    return found


def table(values: Mapping[str, str]) -> list[Content]:
    """Names and values, a line each; what is empty is left out."""
    return [
        Content.assemble((f"{name:<11}", "$muted"), plain(value, 400))
        for name, value in values.items()
        if value
    ]


def answer_columns(
    names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]], width: int
) -> tuple[Column, ...]:
    """Columns as wide as what is in them, none wider than a third; without room for all the last takes what is left."""
    most = max(12, width // 3)
    found = []
    for place, (name, kind) in enumerate(zip(names, types, strict=True)):
        longest = max([len(name), *(len(said(row[place])) for row in rows[:200])])
        found.append(Column(name, min(most, longest), right=kind.startswith(_NUMBERS)))
    if found and sum(column.width + 2 for column in found) > width:
        found[-1] = Column(found[-1].name, 0)
    return tuple(found)


def said(value: Any) -> str:
    """A value of a row, in one line."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return plain(str(value), 400)


def _heading(text: str, width: int) -> Content:
    rule = "─" * max(1, width - len(text) - 1)
    return Content.assemble((text, "bold $primary"), " ", (rule, "$line"))


def _seconds(value: float | None) -> Content:
    return _none() if value is None else Content(units.seconds(value))


def _fine(value: float | None) -> Content:
    """With three digits also where it is short."""
    if value is None:
        return _none()
    for limit, factor, form in (
        (0.00995, 1e3, "{:.2f} ms"), (0.0995, 1e3, "{:.1f} ms"), (0.9995, 1e3, "{:.0f} ms"), (99.5, 1, "{:.2f} s"),
    ):  # fmt: skip
        if value < limit:
            return Content(form.format(value * factor))
    return Content(f"{value:,.0f} s")


def _none() -> Content:
    return Content.styled("–", "$muted")

"""What the overview shows: requests and machine over time as cards. Plain data; knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.types import MachinePoint, Traffic, TrafficPoint
from tui import units
from tui.telling.machine import Card, Chart, Curve, Figure

COLUMNS = 480
"""So many values, at least, a curve has: a step fills all the room that it has in the chart."""
SHORT_S = 6 * 3600.0
"""A span of which requests are counted by the minute."""
SLOW_QUEUE_S = 1.0
"""A wait from which the line is worth a look."""


def cards(traffic: Traffic) -> list[Card]:
    """All cards: tokens, first token, requests, queue, cache, memory, energy."""
    return [
        _tokens(traffic),
        _first_token(traffic),
        _requests(traffic),
        _queue(traffic),
        _cache(traffic),
        _memory(traffic),
        _energy(traffic),
    ]


def sums(traffic: Traffic) -> dict[str, int]:
    """Requests, failed ones, and tokens read, cached and written."""
    points = traffic.points
    return {
        "requests": sum(point.requests for point in points),
        "failed": sum(point.failed for point in points),
        "prompt": sum(point.prompt_tokens for point in points),
        "cached": sum(point.cached_tokens for point in points),
        "written": sum(point.completion_tokens for point in points),
    }


def _tokens(traffic: Traffic) -> Card:
    found = sums(traffic)
    rates = [point for point in traffic.points if point.decode_rate is not None]
    latest = f"{rates[-1].decode_rate:.0f} tok/s" if rates else "–"
    written = _curve(traffic, lambda point: point.completion_tokens / traffic.step, quiet=0.0)
    return Card(
        "Tokens",
        f"{units.count(found['written'])} written",
        figures=(
            Figure("answers", latest, curve=_curve(traffic, lambda point: point.decode_rate), top=0),
            Figure("read", units.count(found["prompt"] - found["cached"])),
        ),
        chart=Chart("written", written, top=0, unit="tok/s"),
    )


def _first_token(traffic: Traffic) -> Card:
    return Card(
        "First token",
        _latest(traffic, lambda point: point.ttft_p95, "p95"),
        figures=(_median(traffic, lambda point: point.ttft_p50),),
        chart=Chart("p95", _curve(traffic, lambda point: _ms(point.ttft_p95)), top=0, unit="ms"),
    )


def _requests(traffic: Traffic) -> Card:
    found = sums(traffic)
    share = found["failed"] / found["requests"] if found["requests"] else 0.0
    unit, per = ("a minute", 60) if traffic.until - traffic.since <= SHORT_S else ("an hour", 3600)
    curve = _curve(traffic, lambda point: point.requests / traffic.step * per, quiet=0.0)
    return Card(
        "Requests",
        f"{units.count(found['requests'])}",
        figures=(
            Figure(
                "failed",
                f"{units.count(found['failed'])} · {share:.1%}",
                curve=_curve(traffic, lambda point: point.failed / point.requests, quiet=0.0),
                level="warn" if share >= 0.01 else "",
            ),
        ),
        chart=Chart("ended", curve, top=0, unit=unit),
    )


def _queue(traffic: Traffic) -> Card:
    waits = [point.queue_p95 for point in traffic.points if point.queue_p95 is not None]
    slow = bool(waits) and waits[-1] >= SLOW_QUEUE_S
    median = _median(traffic, lambda point: point.queue_p50)
    return Card(
        "Queue",
        _latest(traffic, lambda point: point.queue_p95, "p95"),
        figures=(Figure(median.label, median.text, curve=median.curve, top=0, level="warn" if slow else ""),),
        chart=Chart("p95", _curve(traffic, lambda point: _ms(point.queue_p95)), top=0, unit="ms"),
    )


def _cache(traffic: Traffic) -> Card:
    found = sums(traffic)
    share = found["cached"] / found["prompt"] if found["prompt"] else 0.0
    curve = _curve(
        traffic, lambda point: point.cached_tokens / point.prompt_tokens if point.prompt_tokens else None
    )
    return Card(
        "Prompt cache",
        f"{units.count(found['cached'])} of {units.count(found['prompt'])}",
        figures=(Figure("hit", f"{share:.0%} of tokens", parts=(share,)),),
        chart=Chart("hit", curve),
    )


def _memory(traffic: Traffic) -> Card:
    if not traffic.machine:
        return Card("Memory", remarks=("The machine was not looked at in this time.",))
    last = traffic.machine[-1]
    total = max(1, last.memory_total)
    curve = _machine(
        traffic, lambda point: point.memory_used / point.memory_total if point.memory_total else None
    )
    figures = [
        Figure(
            "used",
            f"{units.size(last.memory_used)}",
            parts=(
                min(last.resident, last.memory_used) / total,
                max(0, last.memory_used - last.resident) / total,
            ),
        ),
    ]
    gpus = [point.gpu_memory for point in traffic.machine if point.gpu_memory is not None]
    if gpus:
        gpu = _machine(traffic, lambda point: None if point.gpu_memory is None else float(point.gpu_memory))
        figures.append(Figure("on GPUs", units.size(gpus[-1]), curve=gpu, top=0))
    return Card(
        "Memory", f"models {units.size(last.resident)}", figures=tuple(figures), chart=Chart("used", curve)
    )


def _energy(traffic: Traffic) -> Card:
    if traffic.energy is None:
        return Card("Energy", remarks=("Nothing here tells its power.",))
    written = sums(traffic)["written"]
    figures = [Figure("used", energy(traffic.energy))]
    if written:
        figures.append(Figure("a token", f"{traffic.energy / written:.2f} J"))
    return Card(
        "Energy",
        "all of the machine that is measured",
        figures=tuple(figures),
        chart=Chart("power", _machine(traffic, lambda point: point.power), top=0, unit="W"),
    )


def energy(joules: float) -> str:
    """Energy as it is paid for: `820 mWh`, `42 Wh`, `1.2 kWh`."""
    hours = joules / 3600
    if hours < 1:
        return f"{hours * 1000:.0f} mWh"
    return f"{hours:.0f} Wh" if hours < 999.5 else f"{hours / 1000:.1f} kWh"


def _median(traffic: Traffic, value: Callable[[TrafficPoint], float | None]) -> Figure:
    known = [found for point in traffic.points if (found := value(point)) is not None]
    return Figure("median", units.seconds(known[-1]) if known else "–", curve=_curve(traffic, value), top=0)


def _latest(traffic: Traffic, value: Callable[[TrafficPoint], float | None], name: str) -> str:
    known = [found for point in traffic.points if (found := value(point)) is not None]
    return f"{name} {units.seconds(known[-1])} lately" if known else ""


def _ms(value: float | None) -> float | None:
    return None if value is None else value * 1e3


def _curve(
    traffic: Traffic, value: Callable[[TrafficPoint], float | None], *, quiet: float | None = None
) -> Curve:
    """A value over time; steps in which nothing ended are `quiet`."""
    known = {round(point.t_unix / traffic.step): value(point) for point in traffic.points}
    return _spaced(traffic, lambda step: known.get(step, quiet))


def _machine(traffic: Traffic, value: Callable[[MachinePoint], float | None]) -> Curve:
    known = {round(point.t_unix / traffic.step): value(point) for point in traffic.machine}
    return _spaced(traffic, known.get)


def _spaced(traffic: Traffic, value: Callable[[int], float | None]) -> Sequence[tuple[float, float | None]]:
    """The value of its step at moments so close that no column of a chart is without one."""
    span = traffic.until - traffic.since
    moments = (traffic.since + span * (place + 0.5) / COLUMNS for place in range(COLUMNS))
    return [(moment, value(int(moment // traffic.step))) for moment in moments]

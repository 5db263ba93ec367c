"""The curves that reports draw: names, units and values over time, by the step."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from engine.types import Traffic, TrafficPoint


class Panel(Struct, frozen=True):
    """A chart: a title, and named lines of a value a step; None is a gap. `filled`: the first is an area."""

    title: str
    unit: str
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    filled: bool = False

    @property
    def top(self) -> float:
        """A round number that no value passes: 1, 2 or 5 times a power of ten."""
        most = max((value for _, line in self.lines for value in line if value is not None), default=0.0)
        if most <= 0:
            return 1.0
        power = 1.0
        while power > most:
            power /= 10
        while power * 10 <= most:
            power *= 10
        return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= most)


def panels(traffic: Traffic) -> list[Panel]:
    """Throughput and latency over time, and what bears on them."""
    first, last = int(traffic.since // traffic.step), int((traffic.until - 1e-6) // traffic.step)
    known = {round(point.t_unix / traffic.step): point for point in traffic.points}
    power = {round(point.t_unix / traffic.step): point.power for point in traffic.machine}
    steps = range(first, last + 1)

    def line(
        value: Callable[[TrafficPoint], float | None], quiet: float | None = None
    ) -> tuple[float | None, ...]:
        return tuple(value(known[step]) if step in known else quiet for step in steps)

    def covered(point: TrafficPoint) -> float:
        """Seconds of its step that are within the span: the first and the last step are cut."""
        ends = min(traffic.until, point.t_unix + traffic.step) - max(traffic.since, point.t_unix)
        return max(traffic.step / 10, ends)

    def ms(value: float | None) -> float | None:
        return None if value is None else value * 1e3

    found = [
        Panel(
            "Tokens written",
            "tokens a second",
            (("written", line(lambda point: point.completion_tokens / covered(point), 0.0)),),
            filled=True,
        ),
        Panel(
            "Requests ended",
            "an hour",
            (("requests", line(lambda point: point.requests / covered(point) * 3600, 0.0)),),
            filled=True,
        ),
        Panel(
            "Time to first token",
            "ms",
            (
                ("median", line(lambda point: ms(point.ttft_p50))),
                ("95th percentile", line(lambda point: ms(point.ttft_p95))),
            ),
        ),
        Panel("Speed of an answer", "tokens a second", (("speed", line(lambda point: point.decode_rate)),)),
        Panel(
            "Waiting in line",
            "ms",
            (
                ("median", line(lambda point: ms(point.queue_p50))),
                ("95th percentile", line(lambda point: ms(point.queue_p95))),
            ),
        ),
        Panel(
            "Prompt tokens from the cache",
            "%",
            (
                (
                    "cached",
                    line(
                        lambda point: (
                            100 * point.cached_tokens / point.prompt_tokens if point.prompt_tokens else None
                        )
                    ),
                ),
            ),
        ),
    ]
    if any(value is not None for value in power.values()):
        found.append(Panel("Power", "W", (("power", tuple(power.get(step) for step in steps)),), filled=True))
    return found


def ticks(traffic: Traffic, count: int) -> list[tuple[float, str]]:
    """Where along the axis (0 to 1) a moment is written, and how."""
    import time

    span = traffic.until - traffic.since
    form = "%H:%M" if span <= 2 * 86_400 else "%d %b" if span <= 400 * 86_400 else "%b %Y"
    return [
        (place / (count - 1), time.strftime(form, time.localtime(traffic.since + span * place / (count - 1))))
        for place in range(count)
    ]

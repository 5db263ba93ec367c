"""Event-loop lag and time to the last token while an answer streams into the chat window.

    python -m benchmarks.ui_streaming [--quick]

A thread pushes synthetic tokens at a fixed rate into a feed; the app draws them headless (no terminal write
cost). Budget: 95th percentile of the lag under 30 ms, the last token painted within 1.05 of the ideal
time (tokens / rate). The machine's own noise is measured first, on an app that shows one label.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from textual.app import App
from textual.widgets import Label

from benchmarks.figure import state
from benchmarks.loop_lag import Lag, LoopLag
from tui.base import BaseScreen
from tui.stream.frozen import MessageView
from tui.stream.pump import Feed, StreamPump
from tui.stream.window import MessageWindow

LAG_BUDGET_MS = 30.0
TIME_BUDGET = 1.05
SIZE = (120, 40)
KINDS = ("prose", "fence", "table", "list")
_WORDS = "the cache keeps keys and **values** of every token so `decode` reads them once per step".split()


def tokens(kind: str, count: int) -> list[str]:
    """`count` tokens of one kind of Markdown; every kind but prose is a single block."""
    makers = {"prose": _prose, "fence": _fence, "table": _table, "list": _list}
    return list(itertools.islice(makers[kind](), count))


def _words() -> Iterator[str]:
    return itertools.cycle(_WORDS)


def _prose() -> Iterator[str]:
    for number, word in enumerate(_words(), 1):
        yield word + ("\n\n" if number % 90 == 0 else " ")


def _fence() -> Iterator[str]:
    yield "```python\n"
    for number in itertools.count():
        yield from (f"def step_{number}", "(self, token", ": int)", " -> float", ":\n")
        yield from ("    total", " = self", f".cache[{number}]", " * 1.5", "  # keep\n")


def _table() -> Iterator[str]:
    yield from ("| model", " | tokens", " | note |\n", "|---|", "---:|---|\n")
    for number, word in enumerate(_words()):
        yield from (f"| m{number}", f" | {number * 37}", f" | {word}", " and", " more |\n")


def _list() -> Iterator[str]:
    for number, word in enumerate(_words()):
        yield from ("- item ", f"{number} ", f"{word} ", "goes ", "on\n" if number % 7 else "on\n  - inner\n")


class BareApp(App[None]):
    """One label: what the machine and Textual cost without Hearth."""

    def compose(self) -> Iterator[Label]:
        """The label."""
        yield Label("idle")


class ChatApp(App[None]):
    """One screen with a message window."""

    def get_default_screen(self) -> BaseScreen:
        """The screen with the window."""
        return _ChatScreen()


class _ChatScreen(BaseScreen):
    def compose(self) -> Iterator[MessageWindow]:
        yield MessageWindow()


@dataclass(frozen=True, slots=True)
class Run:
    """One measured stream."""

    kind: str
    rate: int
    lag: Lag
    shown: float
    ideal: float
    cpu: float

    @property
    def holds(self) -> bool:
        """True within both budgets."""
        return self.lag.p95 < LAG_BUDGET_MS and self.shown <= TIME_BUDGET * self.ideal


def _produce(feed: Feed, pieces: list[str], rate: int) -> None:
    began = time.perf_counter()
    for number, piece in enumerate(pieces, 1):
        feed.push(piece)
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
    feed.close()


async def measure(kind: str, rate: int, count: int) -> Run:
    """Stream `count` tokens at `rate` a second behind twenty finished messages."""
    app = ChatApp()
    async with app.run_test(size=SIZE) as pilot:
        window = app.screen.query_one(MessageWindow)
        history = [MessageView(f"m{n}", "assistant", "An earlier answer. " * 30) for n in range(20)]
        await window.show(history)
        answer = await window.stream(MessageView("answer", "assistant", ""))
        await pilot.pause()
        pieces = tokens(kind, count)
        painted = asyncio.Event()
        gc.collect()

        def ended() -> None:
            answer.finish()
            answer.call_after_refresh(painted.set)

        feed = StreamPump().open(answer, ended)
        thread = threading.Thread(target=_produce, args=(feed, pieces, rate))
        cpu = time.process_time()
        async with LoopLag() as probe:
            began = time.perf_counter()
            thread.start()
            await painted.wait()
            shown = time.perf_counter() - began
        cpu = (time.process_time() - cpu) / shown
        thread.join()
        if answer.source != "".join(pieces):
            raise AssertionError("the text on screen is not the text that was sent")
    return Run(kind, rate, probe.lag, shown, count / rate, cpu)


async def baseline(seconds: float) -> Lag:
    """Lag of an idle app with one label."""
    async with BareApp().run_test(size=SIZE), LoopLag() as probe:
        await asyncio.sleep(seconds)
    return probe.lag


def _row(name: str, lag: Lag, rest: str = "") -> str:
    return f"{name:<18}{lag.p50:>8.1f}{lag.p95:>8.1f}{lag.most:>8.1f}{rest}"


def main(argv: list[str]) -> int:
    """Measure, print the table, return 0 if every run holds its budgets."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ui_streaming", description="Lag of the UI while an answer streams."
    )
    parser.add_argument("--quick", action="store_true", help="500 tokens a run, at 500 tokens/s only")
    quick = parser.parse_args(argv).quick
    count, rates = (500, (500,)) if quick else (2000, (100, 500))
    print(
        f"{count} tokens, {SIZE[0]}x{SIZE[1]}; budgets: "
        f"p95 < {LAG_BUDGET_MS:.0f} ms, shown <= {TIME_BUDGET} of ideal"
    )
    print(f"{'':<18}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}{'shown s':>9}{'/ideal':>8}{'CPU':>6}")
    idle = asyncio.run(baseline(1.0 if quick else 3.0))
    print(_row("bare app, idle", idle))
    runs = []
    for rate, kind in itertools.product(rates, KINDS):
        run = asyncio.run(measure(kind, rate, count))
        rest = f"{run.shown:>9.2f}{run.shown / run.ideal:>8.3f}{run.cpu:>6.0%}"
        print(_row(f"{kind} @{rate}/s", run.lag, rest), flush=True)
        runs.append(run)
    held = [
        state(
            f"{run.kind} at {run.rate} tokens/s",
            f"lag p95 {run.lag.p95:.1f} ms, shown {run.shown / run.ideal:.3f} of ideal",
            f"{LAG_BUDGET_MS:.0f} ms, {TIME_BUDGET}",
            holds=run.holds,
        )
        for run in runs
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Opening a conversation of 1,000 finished messages, and the cost of a token appended to it.

    python -m benchmarks.ui_history [--quick]

Budget: from the call that shows the conversation to its first paint under 0.5 s; a token appended to a
streaming answer behind that history blocks the event loop under 15 ms (95th percentile of the blocks, one
per append; the longest is printed too). The same append into an empty conversation is printed beside it,
and a bare app's lag, so that the ratio tells Hearth's cost from the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figure import state
from benchmarks.loop_lag import percentile
from benchmarks.ui_streaming import SIZE, ChatApp, baseline, tokens
from tui.stream.frozen import MessageView
from tui.stream.window import MessageWindow

OPEN_BUDGET_S = 0.5
BLOCK_BUDGET_MS = 15.0
WATCHED_S = 0.03
"""Seconds after an append in which its layout and paint are waited for."""


def conversation(count: int) -> list[MessageView]:
    """`count` messages: questions, and answers with prose, a list, a table and code in turn."""
    kinds = ("prose", "list", "fence", "table")
    views: list[MessageView] = []
    for number in range(count):
        if number % 2 == 0:
            text, role = f"Question {number}: how does the cache grow with the context?", "user"
        else:
            kind = kinds[number // 2 % len(kinds)]
            text = (
                "Here is the answer.\n\n" + "".join(tokens("prose", 60)) + "\n\n" + "".join(tokens(kind, 120))
            )
            role = "assistant"
        views.append(MessageView(f"m{number}", role, text, meta="180 tok · 92 tok/s"))
    return views


@dataclass(frozen=True, slots=True)
class Run:
    """What one conversation cost."""

    messages: int
    opened: float
    mounted: int
    blocks: list[float]


async def measure(count: int, appended: int) -> Run:
    """Open `count` messages, then append tokens one by one and time how long each blocks the loop."""
    app = ChatApp()
    async with app.run_test(size=SIZE) as pilot:
        window = app.screen.query_one(MessageWindow)
        views = conversation(count)
        gc.collect()
        painted = asyncio.Event()
        began = time.perf_counter()
        await window.show(views)
        window.call_after_refresh(painted.set)
        await painted.wait()
        opened = time.perf_counter() - began
        answer = await window.stream(MessageView("answer", "assistant", ""))
        await pilot.pause()
        blocks: list[float] = []
        for piece in tokens("prose", appended):
            blocks.append(await _block(answer.append, piece))
        mounted = len(app.screen.query("*"))
    return Run(count, opened, mounted, blocks)


async def _block(append: Callable[[str], None], piece: str) -> float:
    """The longest turn of the loop, in ms, while an append is drawn, laid out and painted."""
    longest = 0.0
    turn = time.perf_counter()
    until = turn + WATCHED_S
    append(piece)
    while turn < until:
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, turn = max(longest, now - turn), now
    return longest * 1e3


def main(argv: list[str]) -> int:
    """Measure, print, return 0 if the budgets hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ui_history", description="Cost of a long history on screen."
    )
    parser.add_argument("--quick", action="store_true", help="append 40 tokens instead of 300")
    appended = 40 if parser.parse_args(argv).quick else 300
    idle = asyncio.run(baseline(1.0))
    empty = asyncio.run(measure(0, appended))
    full = asyncio.run(measure(1000, appended))
    print(f"bare app, idle: lag p95 {idle.p95:.1f} ms, max {idle.most:.1f} ms")
    print(f"{'messages':>9}{'open s':>9}{'widgets':>9}{'block p50':>11}{'p95':>7}{'max ms':>8}")
    for run in (empty, full):
        p50, p95 = percentile(run.blocks, 0.5), percentile(run.blocks, 0.95)
        print(
            f"{run.messages:>9}{run.opened:>9.3f}{run.mounted:>9}{p50:>11.1f}{p95:>7.1f}{max(run.blocks):>8.1f}"
        )
    block = percentile(full.blocks, 0.95)
    ratio = percentile(full.blocks, 0.5) / max(0.01, percentile(empty.blocks, 0.5))
    print(f"block with 1,000 messages over block with none: {ratio:.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    held = [
        state(
            "opening 1,000 messages",
            f"{full.opened:.3f} s",
            f"{OPEN_BUDGET_S} s",
            holds=full.opened < OPEN_BUDGET_S,
        ),
        state(
            "token after 1,000 messages",
            f"{block:.1f} ms",
            f"{BLOCK_BUDGET_MS} ms",
            holds=block < BLOCK_BUDGET_MS,
        ),
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Scenes of the Evals workspace for `tui.screenshots`: every view, a sample in full, the forms, and nothing yet."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from tui.app import HearthApp
from tui.recorded_evals import fill

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]


def _keys(*keys: str, some: bool = True) -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        if some and not app.paths.eval_results.exists():
            await asyncio.to_thread(fill, app.paths, time.time())
        await pilot.pause(2.5)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        await pilot.pause(1.5)

    return drive


async def _battle(pilot: Pilot[None], app: HearthApp) -> None:
    from tui.screens.evals.battle import BattleScreen

    async def keep(battle: object) -> None:
        """Nothing is kept of a picture."""

    answers = BattleScreen(["qwen3-8b-instruct", "gemma-3-12b-it-qat"], (), keep, rng=random.Random(2))
    app.push_screen(answers)
    await pilot.pause(0.5)
    await pilot.press(*"What is the capital of France?", "enter")
    await pilot.pause(1.0)


async def _voted(pilot: Pilot[None], app: HearthApp) -> None:
    await _battle(pilot, app)
    await pilot.press("b")
    await pilot.pause(0.5)


async def _beside(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.press(*"What is the capital of France?", "enter")
    await pilot.pause(1.5)
    await pilot.press("escape", "s")
    await pilot.press("i", *"/beside smollm3-3b", "enter")
    await pilot.pause(1.5)


SCENES: dict[str, tuple[str, Drive]] = {
    "evals": ("evals", _keys()),
    "evals-stopped": ("evals", _keys("down")),
    "evals-long-names": ("evals", _keys("down", "down")),
    "evals-samples": ("evals", _keys("enter", "f", "f")),
    "evals-sample": ("evals", _keys("enter", "f", "f", "enter")),
    "evals-diff": ("evals", _keys("enter", "f", "f", "enter", "v")),
    "evals-compare": ("evals", _keys("c")),
    "evals-bench": ("evals", _keys("right", "right", "right")),
    "evals-arena": ("evals", _keys("left")),
    "evals-new": ("evals", _keys("n")),
    "evals-new-models": ("evals", _keys("n", "down", "enter")),
    "evals-battle": ("evals", _battle),
    "evals-voted": ("evals", _voted),
    "beside": ("chat", _beside),
    "evals-none": ("evals", _keys(some=False)),
}
"""Scene name: the workspace it starts in, and what is done there."""

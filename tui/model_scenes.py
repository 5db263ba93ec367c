"""The Models workspace in every state worth a picture: hub, details, pulls, offline, empty, deletion, long names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from textual.pilot import Pilot

from engine.errors import HubUnavailable
from tui.app import HearthApp
from tui.chat_scenes import Drive
from tui.hub_recordings import interrupted_pulls, pull_states
from tui.recorded import RecordedEngine
from tui.screens.models.hub import RESTS_S


def _engine(app: HearthApp) -> RecordedEngine:
    return cast(RecordedEngine, app.connection.ready)


async def _settled(pilot: Pilot[None]) -> None:
    await asyncio.sleep(RESTS_S + 0.3)
    await pilot.pause()


def at_the_hub(
    *keys: str, opened: bool = False, before: Callable[[RecordedEngine], None] | None = None
) -> Drive:
    """Go to the hub, press `keys`, and open what is highlighted."""

    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        if before is not None:
            before(_engine(app))
        await pilot.press("h")
        await _settled(pilot)
        for key in keys:
            await pilot.press(key)
        await _settled(pilot)
        if opened:
            await pilot.press("enter")
            await _settled(pilot)

    return drive


def with_pulls(drive: Drive | None = None, *keys: str) -> Drive:
    """Have pulls in every stage, do `drive`, press `keys`."""

    async def do(pilot: Pilot[None], app: HearthApp) -> None:
        _engine(app).pull_states, _engine(app).interrupted = pull_states(), interrupted_pulls()
        await asyncio.sleep(1.2)
        if drive is not None:
            await drive(pilot, app)
        for key in keys:
            await pilot.press(key)
        await _settled(pilot)

    return do


def _keys(*keys: str) -> Callable[[Pilot[None], HearthApp], Awaitable[None]]:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await _settled(pilot)

    return drive


def _offline(engine: RecordedEngine) -> None:
    engine.offline = HubUnavailable(
        "The hub does not answer.", "huggingface.co could not be found: is there a network?", "Try it again."
    )


def _silent(engine: RecordedEngine) -> None:
    engine.silent = True


def _empty(engine: RecordedEngine) -> None:
    engine.entries = []


async def _nothing_here(pilot: Pilot[None], app: HearthApp) -> None:
    _empty(_engine(app))
    await _keys("r")(pilot, app)


async def _newer(pilot: Pilot[None], app: HearthApp) -> None:
    _engine(app).newer = {"smollm3-3b": "b" * 40}
    await _keys("N")(pilot, app)


SCENES: dict[str, tuple[str, Drive]] = {
    "models-hub": ("models", at_the_hub()),
    "models-hub-open": ("models", at_the_hub(opened=True)),
    "models-hub-search": ("models", at_the_hub("slash", *"smol")),
    "models-hub-gated": ("models", at_the_hub("j", opened=True)),
    "models-hub-hostile": ("models", at_the_hub("end", opened=True)),
    "models-hub-long": ("models", at_the_hub("end", "k", opened=True)),
    "models-hub-none": ("models", at_the_hub("slash", *"zebra")),
    "models-hub-asking": ("models", at_the_hub(before=_silent)),
    "models-hub-offline": ("models", at_the_hub(before=_offline)),
    "models-hub-offline-none": ("models", at_the_hub("slash", *"zebra", before=_offline)),
    "models-hub-pulls": ("models", with_pulls(at_the_hub(opened=True))),
    "models-pulls": ("models", with_pulls()),
    "models-pulls-chosen": ("models", with_pulls(None, "q", "j")),
    "models-pulls-failed": ("models", with_pulls(None, "q", "j", "j", "enter")),
    "models-empty": ("models", _nothing_here),
    "models-delete": ("models", _keys("end", "k", "d")),
    "models-newer": ("models", _newer),
}

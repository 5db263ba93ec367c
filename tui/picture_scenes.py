"""The chat with pictures, for `tui.screenshots`. The pictures are drawn here, so that nothing has to be shipped."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.pilot import Pilot

from engine.errors import Unsupported
from tui.app import HearthApp
from tui.chat_scenes import Drive, say
from tui.screens.chat.screen import ChatScreen

if TYPE_CHECKING:
    from PIL import Image

REFUSED = Unsupported(
    "This model cannot do images.",
    "Its backend (llama) does not support it.",
    "Leave `messages.content` out, or choose another model.",
    param="messages.content",
)


def landscape() -> Image.Image:
    """A sun over hills, 640×400."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (640, 400))
    draw = ImageDraw.Draw(image)
    for y in range(400):
        warm = y / 400
        draw.line((0, y, 640, y), fill=(int(70 + 170 * warm), int(110 + 70 * warm), int(190 - 60 * warm)))
    draw.ellipse((420, 70, 520, 170), fill=(255, 226, 150))
    for base, height, colour in (
        (250, 60, (76, 98, 110)),
        (300, 45, (52, 78, 74)),
        (350, 30, (30, 52, 46)),
    ):
        ridge = [(x, base + height * math.sin(x / 60 + base) * math.cos(x / 130)) for x in range(0, 641, 8)]
        draw.polygon([(0, 400), *ridge, (640, 400)], fill=colour)
    return image


def shapes() -> Image.Image:
    """Two blue squares and a red circle on white, 320×320."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 50, 130, 140), fill=(40, 90, 210))
    draw.rectangle((180, 90, 280, 190), fill=(40, 90, 210))
    draw.ellipse((80, 190, 180, 290), fill=(210, 50, 40))
    return image


def chart() -> Image.Image:
    """Bars with a transparent ground, 480×300."""
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (480, 300))
    draw = ImageDraw.Draw(image)
    for place, value in enumerate((120, 190, 150, 240, 210, 270)):
        draw.rectangle((30 + place * 72, 290 - value, 78 + place * 72, 290), fill=(90, 180, 140, 255))
    return image


@contextmanager
def gallery_folder() -> Iterator[Path]:
    """A folder with the three pictures, the current one meanwhile."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "holiday").mkdir()
        landscape().save(folder / "holiday" / "hills at dusk.jpg", quality=90)
        shapes().save(folder / "shapes.png")
        chart().save(folder / "throughput.webp", lossless=True)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def _with_pictures(drive: Drive) -> Drive:
    async def driven(pilot: Pilot[None], app: HearthApp) -> None:
        with gallery_folder():
            await drive(pilot, app)
            await pilot.pause(0.6)

    return driven


async def _sent(pilot: Pilot[None], app: HearthApp) -> None:
    _see(app)
    await say(
        pilot,
        app,
        'What is on @"holiday/hills at dusk.jpg"?',
        "A low sun over three ranges of hills, the nearest almost black.",
    )


async def _several(pilot: Pilot[None], app: HearthApp) -> None:
    _see(app)
    await say(
        pilot,
        app,
        'Which of @shapes.png, @throughput.webp and @"holiday/hills at dusk.jpg" is a photograph?',
        "None of them quite: the **third** is the nearest to one.",
    )


async def _attached(pilot: Pilot[None], app: HearthApp) -> None:
    _see(app)
    chat = cast(ChatScreen, app.screen)
    chat.composer.prompt.load('Compare @shapes.png with @"holiday/hills at dusk.jpg"')
    await pilot.pause(0.4)


async def _blind(pilot: Pilot[None], app: HearthApp) -> None:
    chat = cast(ChatScreen, app.screen)
    chat.composer.prompt.load("How many squares are on @shapes.png?")
    await pilot.pause(0.6)


async def _refused(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "How many squares are on @shapes.png?", REFUSED)


async def _picker(pilot: Pilot[None], app: HearthApp) -> None:
    cast(ChatScreen, app.screen).action_attach()
    await pilot.pause(0.4)


def _see(app: HearthApp) -> None:
    """Talk to a model that takes pictures."""
    app.choose_model("gemma-3-12b-it-qat")


SCENES: dict[str, tuple[str, Callable[[Pilot[None], HearthApp], Awaitable[None]]]] = {
    "chat-picture": ("chat", _with_pictures(_sent)),
    "chat-pictures": ("chat", _with_pictures(_several)),
    "chat-attached": ("chat", _with_pictures(_attached)),
    "chat-attached-blind": ("chat", _with_pictures(_blind)),
    "chat-refused": ("chat", _with_pictures(_refused)),
    "chat-picture-picker": ("chat", _with_pictures(_picker)),
}
"""Scene name: the workspace, and what is done there."""

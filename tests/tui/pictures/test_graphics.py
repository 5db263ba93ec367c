"""The terminal draws pictures itself where it can: it is asked before the start, and widgets lie over the free rows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from textual.app import App
from textual.widgets import Static

from tui.asking.pictures import look
from tui.base import BaseScreen
from tui.pictures.gallery import Gallery
from tui.pictures.graphics import gallery_for, hint
from tui.stream.frozen import MessageView
from tui.stream.window import MessageWindow

PLACEHOLDER = chr(0x10EEEE).encode()
"""The character that Kitty draws a part of a picture over."""


def test_without_a_terminal_nothing_is_asked_and_blocks_are_drawn() -> None:
    assert gallery_for("auto", before_start=True).way == "blocks"
    assert gallery_for("auto").way == "blocks" and gallery_for("blocks", before_start=True).way == "blocks"
    assert gallery_for("placeholder").way == "placeholder" and gallery_for("placeholder").why


def test_a_hint_is_given_only_where_it_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    kitty = {"TERM": "xterm-kitty"}
    assert not hint(Gallery("blocks"), {"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"})
    assert not hint(Gallery("graphics"), kitty) and not hint(Gallery("placeholder"), kitty)
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    assert "Python 3.12" in hint(Gallery("blocks"), kitty)
    assert "Python 3.12" in hint(Gallery("blocks"), {"LC_TERMINAL": "iTerm2"})
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    assert ("[images]" in hint(Gallery("blocks"), kitty)) == (find_spec("textual_image") is None)


async def test_widgets_lie_over_the_rows_that_are_kept_for_them(tmp_path: Path) -> None:
    """A widget of ours stands for the library's, which needs a terminal."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (300, 200), "red").save(tmp_path / name)
    sizes: list[tuple[int, int]] = []

    def make(image: Image.Image):
        sizes.append(image.size)
        return lambda: Static("x", classes="drawn")

    gallery = Gallery("graphics", make=make, cell=(10, 20))

    class Screen(BaseScreen):
        def compose(self):
            yield MessageWindow(gallery=gallery)

    class WindowApp(App[None]):
        def get_default_screen(self) -> Screen:
            return Screen()

    async with WindowApp().run_test(size=(90, 30)) as pilot:
        window = pilot.app.screen.query_one(MessageWindow)
        shown = tuple(look(name, tmp_path) for name in ("a.png", "b.png"))
        await window.show([MessageView("m", "user", "See:", pictures=shown)])
        for width in (90, 60, 40):
            await pilot.resize_terminal(width, 30)
            message = window.widget_of("m")
            assert message is not None
            while [
                (widget.region.x - message.content_region.x, widget.region.y - message.content_region.y)
                for widget in message.query(".drawn")
            ] != [(place.x, message._shelf_row + place.y) for place in message._shelf.places]:
                await pilot.pause()
            for widget, place in zip(message.query(".drawn"), message._shelf.places, strict=True):
                assert (widget.region.width, widget.region.height) == (place.box.columns, place.box.rows)
            assert message.size.height == len(message.lines)
        boxes = {(size[0] // 10, size[1] // 20) for size in sizes}
        assert boxes >= {(place.box.columns, place.box.rows) for place in message._shelf.places}


@pytest.mark.skipif(find_spec("textual_image") is None, reason="textual-image is not installed (Python 3.12)")
@pytest.mark.parametrize(
    ("answer", "way"),
    [(b"\x1b[?62;4c", "sixel"), (b"\x1b_Gi=%d;OK\x1b\\\x1b[?62c", "kitty"), (b"\x1b[?62c", "blocks")],
)
def test_a_terminal_that_says_what_it_can_draws(tmp_path: Path, answer: bytes, way: str) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "a.png")
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tui.pictures.pty_app", str(tmp_path)],
        stdin=inside, stdout=inside, stderr=inside,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )  # fmt: skip
    os.close(inside)
    drawn = {
        "sixel": lambda: re.search(rb"\x1bP[0-9;]*q.*?\x1b\\", seen, re.DOTALL),
        "kitty": lambda: seen.count(PLACEHOLDER) > 100 and b"a=p" in seen,
        "blocks": lambda: b"48;2;25" in seen and (tmp_path / "way").read_text() == "blocks 10x20",
    }[way]
    seen, answered, end = b"", False, time.monotonic() + 60
    try:
        while not (answered and drawn()) and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536)
            if not answered and b"\x1b[c" in seen:
                asked = re.search(rb"\x1b_Gi=(\d+)", seen)
                os.write(terminal, answer % int(asked[1]) if b"%d" in answer and asked else answer)
                answered = True
        assert drawn()
    finally:
        process.kill()
        process.wait()
        os.close(terminal)

"""A picture in a message window, on a real terminal: `python -m tests.tui.pictures.pty_app FOLDER`.

Writes the way in which pictures are shown into a file `way` there, and leaves when `q` is pressed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from textual.app import App

from tui.asking.pictures import look
from tui.base import BaseScreen
from tui.pictures.gallery import Gallery
from tui.pictures.graphics import gallery_for
from tui.stream.frozen import MessageView
from tui.stream.window import MessageWindow


class PictureScreen(BaseScreen):
    def __init__(self, gallery: Gallery, view: MessageView) -> None:
        super().__init__()
        self._gallery_shown, self._view_shown = gallery, view

    def compose(self) -> Iterator[MessageWindow]:
        yield MessageWindow(gallery=self._gallery_shown)

    async def on_mount(self) -> None:
        await self.query_one(MessageWindow).show([self._view_shown])


class PictureApp(App[None]):
    BINDINGS = [("q", "quit", "Leave")]  # noqa: RUF012

    def __init__(self, gallery: Gallery, view: MessageView) -> None:
        super().__init__()
        self._made = gallery, view

    def get_default_screen(self) -> PictureScreen:
        return PictureScreen(*self._made)


def main() -> None:
    folder = Path(sys.argv[1])
    gallery = gallery_for("auto", before_start=True)
    (folder / "way").write_text(f"{gallery.way} {gallery.cell[0]}x{gallery.cell[1]}")
    view = MessageView("m", "user", "A picture:", pictures=(look("a.png", folder),))
    PictureApp(gallery, view).run()


if __name__ == "__main__":
    main()

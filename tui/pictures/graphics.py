"""Pictures drawn by the terminal itself (Kitty's protocol, Sixel), through textual-image where that is installed.

    gallery = gallery_for(settings.ui.images, before_start=True)     # asks the terminal: before the app runs

The library asks the terminal what it can, once, and reads the answer from stdin; from the app's first frame on that
belongs to Textual, so it is asked before or never. It needs Python 3.12.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Literal

from tui.pictures.gallery import Gallery

if TYPE_CHECKING:
    from PIL import Image
    from textual.widget import Widget

LIBRARY = "textual_image"
NEEDS_PYTHON = (3, 12)
Images = Literal["auto", "blocks", "placeholder"]
_ABLE = ("kitty", "ghostty", "iterm", "wezterm", "konsole", "foot", "mlterm", "contour", "xterm-kitty")
"""What terminals that draw pictures call themselves."""


def gallery_for(images: Images, *, before_start: bool = False) -> Gallery:
    """The gallery of the setting `ui.images`; with `before_start` the terminal may be asked what it can."""
    if images == "placeholder":
        return Gallery("placeholder", why="ui.images is placeholder")
    if importlib.util.find_spec("PIL") is None:
        return Gallery("placeholder", why="Pillow is not installed")
    if images == "auto" and before_start and importlib.util.find_spec(LIBRARY) is not None:
        return _asked() or Gallery("blocks")
    return Gallery("blocks")


def hint(gallery: Gallery, environ: Mapping[str, str] = os.environ) -> str:
    """What would show pictures better on a terminal that could; empty where nothing would."""
    terminal = " ".join(environ.get(name, "") for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL")).lower()
    if gallery.way != "blocks" or not any(name in terminal for name in _ABLE):
        return ""
    if sys.version_info < NEEDS_PYTHON:
        return "Pictures are drawn in blocks: this terminal's own graphics need Python 3.12."
    if importlib.util.find_spec(LIBRARY) is None:
        return (
            "Pictures are drawn in blocks: `.venv/bin/pip install -e '.[images]'` in Hearth's checkout brings "
            "this terminal's own graphics."
        )
    return ""


def _asked() -> Gallery | None:
    """What the terminal says that it can; None where it can nothing, or does not say."""
    if not (sys.__stdin__ and sys.__stdin__.isatty() and sys.__stdout__ and sys.__stdout__.isatty()):
        return None
    try:
        # The module that asks, alone: what draws is imported with the first picture, in its thread.
        from textual_image._terminal import probe_terminal

        able = probe_terminal()
    except Exception:  # a library that changed, a terminal that misbehaves: blocks work everywhere
        return None
    if not (able.sixel or able.tgp):
        return None

    def make(image: Image.Image) -> Callable[[], Widget]:
        return partial(_widget(sixel=able.sixel), image)

    return Gallery("graphics", make=make, cell=tuple(able.cell_size))


@cache
def _widget(*, sixel: bool) -> Callable[[Image.Image], Widget]:
    """The library's widget; Kitty's takes its picture out of the terminal's memory when it leaves the screen."""
    from textual_image.renderable import TGPImage as Drawn
    from textual_image.widget import SixelImage, TGPImage

    if sixel:
        return SixelImage

    class TidyImage(TGPImage, Renderable=Drawn):
        def on_unmount(self) -> None:
            self.image = None

    return TidyImage

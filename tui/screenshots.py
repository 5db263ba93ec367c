"""Draws every pane as SVG and PNG from a recorded engine: `python -m tui.screenshots --out docs/screenshots`.

Each scene is shown dark and light at 80×24 and 200×60, dark at 120×36, and once more without colour and in a narrow
window; some in every theme.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from engine import paths
from engine.errors import ModelLoadFailed
from engine.settings import Settings
from tui.alias_scenes import SCENES as ALIAS_SCENES
from tui.answer_scenes import SCENES as ANSWER_SCENES
from tui.app import HearthApp
from tui.chat_scenes import SCENES as CHAT_SCENES
from tui.eval_scenes import SCENES as EVAL_SCENES
from tui.hub_recordings import hub_cards, hub_files, hub_models
from tui.job_scenes import SCENES as JOB_SCENES
from tui.metric_scenes import SCENES as METRIC_SCENES
from tui.model_scenes import SCENES as MODEL_SCENES
from tui.picture_scenes import SCENES as PICTURE_SCENES
from tui.recorded import RecordedEngine
from tui.recorded_machines import at_work, desktop, mac, points_before, workstation
from tui.recordings import entries, lines, loaded
from tui.server_scenes import SCENES as SERVER_SCENES
from tui.settings_scenes import SCENES as SETTINGS_SCENES
from tui.status import ChatStatus

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]
FONTS = ("JetBrains Mono", "DejaVu Sans Mono", "Menlo", "Liberation Mono", "Noto Sans Mono")


@dataclass(frozen=True, slots=True)
class Look:
    """How a scene is shown."""

    name: str
    theme: str
    size: tuple[int, int]
    colour: bool = True


LOOKS = (
    Look("dark-80x24", "hearth-dark", (80, 24)),
    Look("dark-120x36", "hearth-dark", (120, 36)),
    Look("dark-200x60", "hearth-dark", (200, 60)),
    Look("light-80x24", "hearth-light", (80, 24)),
    Look("light-200x60", "hearth-light", (200, 60)),
    Look("nocolor-100x30", "hearth-dark", (100, 30), colour=False),
    Look("narrow-48x20", "hearth-dark", (48, 20)),
)
THEME_LOOKS = tuple(
    Look(f"{theme}-100x30", theme, (100, 30)) for theme in ("banked", "ash", "beacon", "terminal")
)


IN_EVERY_THEME = frozenset(
    {"models", "models-estimate", "models-hub-pulls", "chat-calls", "chat-inspector", "chat-figures"}
)
"""Scenes that are drawn once more in each of `THEME_LOOKS`."""


async def _nothing(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.pause()


def _keys(*keys: str) -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()

    return drive


async def _error(pilot: Pilot[None], app: HearthApp) -> None:
    app.show_error(
        ModelLoadFailed(
            "phi-4-half-downloaded cannot be loaded.",
            "The file ends inside tensor 114 of 243: it was cut off.",
            "Download it again, or delete it and choose another model with ctrl+k.",
        )
    )


async def _flash(pilot: Pilot[None], app: HearthApp) -> None:
    app.flash("The chat talks to qwen3-8b-instruct now.", "success")


SCENES: dict[str, tuple[str, Drive]] = {
    "models": ("models", _nothing),
    "models-broken": ("models", _keys("end")),
    "models-filter": ("models", _keys("slash", *"qwen")),
    "models-no-match": ("models", _keys("slash", *"zebra")),
    "logs": ("logs", _nothing),
    "logs-opened": ("logs", _keys("up", "enter")),
    "hardware": ("hardware", _nothing),
    "hardware-desktop": ("hardware", _keys("p", "plus")),
    "hardware-mac": ("hardware", _keys("minus")),
    "hardware-load": ("hardware", _keys("l")),
    "help": ("models", _keys("f1")),
    "palette": ("models", _keys("ctrl+p")),
    "model-picker": ("models", _keys("ctrl+k")),
    "themes": ("models", _keys("ctrl+t")),
    "jump": ("models", _keys("ctrl+o")),
    "leader": ("models", _keys("ctrl+g")),
    "error": ("models", _error),
    "flash": ("models", _flash),
}
"""Scene name: the workspace it starts in, and what is done there."""


MACHINES = {"hardware-desktop": desktop, "hardware-mac": mac}
"""Scene name: the machine it shows, where that is not the workstation."""


async def shoot(scene: str, mode: str, drive: Drive, look: Look, folder: Path) -> Path:
    """Draw one scene with one look; the path of the SVG."""
    models = at_work(loaded()) if mode == "hardware" else tuple(loaded())
    machine = MACHINES.get(scene, workstation)(models)
    engine = RecordedEngine(
        entries=entries(),
        loaded=models,
        lines=lines(),
        machine=machine,
        points=points_before(machine),
        hub=hub_models(),
        files=hub_files(),
        cards=hub_cards(),
    )
    app = HearthApp(engine, Settings(), paths=paths.resolve({"HEARTH_HOME": str(folder / f".home-{scene}")}))
    app.use_theme(look.theme)
    async with app.run_test(size=look.size) as pilot:
        app.switch_mode(mode)
        await pilot.pause(0.6)
        if mode != "chat":
            app.show_chat_status(
                ChatStatus(
                    model="ember",
                    title="GPU kernels",
                    context_used=3100,
                    context_total=8192,
                    rate=92.4,
                    ttft_s=0.18,
                    follow=True,
                )
            )
        await drive(pilot, app)
        await pilot.pause(0.3)
        svg = app.export_screenshot(title="Hearth")
    path = folder / f"{scene}-{look.name}.svg"
    path.write_text(svg, encoding="utf-8")
    return path


def to_png(svg: Path) -> Path:
    """The picture beside `svg` as PNG, with a font that this machine has."""
    import resvg_py

    font = installed_font()
    text = re.sub(r"@font-face\s*{.*?}", "", svg.read_text(encoding="utf-8"), flags=re.S)
    text = text.replace("Fira Code", font)
    # Dots may come from another font than spaces, whose widths then differ: blank cells of the same font do not.
    text = re.sub(r">[^<]*[\u2801-\u28ff][^<]*<", lambda found: found[0].replace("&#160;", "\u2800"), text)
    path = svg.with_suffix(".png")
    path.write_bytes(bytes(resvg_py.svg_to_bytes(svg_string=text, font_family=font)))
    return path


def installed_font() -> str:
    """The first of `FONTS` that fontconfig knows; without fontconfig the last resort of most systems."""
    if shutil.which("fc-list"):
        known = subprocess.run(("fc-list", ":", "family"), capture_output=True, text=True, check=False).stdout
        for font in FONTS:
            if font in known:
                return font
    return FONTS[1]


def main() -> int:
    """Draw what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tui.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--only", default="", help="scenes whose name starts with this")
    parser.add_argument("--look", default="", help="looks whose name starts with this")
    parser.add_argument("--no-png", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.no_png and importlib.util.find_spec("resvg_py") is None:
        print("PNG needs resvg-py: make setup-dev", file=sys.stderr)
        return 1
    scenes = {
        **CHAT_SCENES,
        **ANSWER_SCENES,
        **PICTURE_SCENES,
        **SETTINGS_SCENES,
        **MODEL_SCENES,
        **ALIAS_SCENES,
        **JOB_SCENES,
        **METRIC_SCENES,
        **SERVER_SCENES,
        **EVAL_SCENES,
        **SCENES,
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, (mode, drive) in scenes.items():
            if not name.startswith(options.only):
                continue
            for look in LOOKS + (THEME_LOOKS if name in IN_EVERY_THEME else ()):
                if not look.name.startswith(options.look):
                    continue
                os.environ.pop("NO_COLOR", None)
                if not look.colour:
                    os.environ["NO_COLOR"] = "1"
                drawn = asyncio.run(shoot(name, mode, drive, look, Path(scratch)))
                svg = options.out / drawn.name
                shutil.copyfile(drawn, svg)
                print(svg if options.no_png else to_png(svg), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

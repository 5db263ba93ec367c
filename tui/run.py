"""Opens the workstation: what `hearth` without a command runs. The engine starts behind the first frame."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.settings import Settings

if TYPE_CHECKING:
    from engine import Engine

SWITCH_INTERVAL_S = 0.0005
"""How long the engine's thread may hold the interpreter from the screen's, and the other way round."""


def run(
    settings: Settings,
    make_engine: Callable[[], Engine],
    *,
    config: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
) -> int:
    """Run the app until it is left; the exit status.

    `make_engine` is called on a thread of its own behind the first frame, and may take its time. `config` is the
    settings file that the user named, `flags` what the command line sets by dotted key.
    """
    gc.disable()  # nothing to find while modules load; the app enables it after the first frame
    from tui.app import HearthApp
    from tui.last_answers import let_end
    from tui.pictures.graphics import gallery_for

    sys.setswitchinterval(SWITCH_INTERVAL_S)

    app = HearthApp(
        make_engine,
        settings,
        config=Path(config) if config else None,
        flags=flags,
        frame_first=True,
        gallery=gallery_for(settings.ui.images, before_start=True),
    )
    app.run()
    # What the app froze after its first frame must be freed, or DuckDB writes of leaks to the terminal.
    gc.unfreeze()
    code = app.return_code or 0
    let_end(app.serving, app.settings.server.drain_seconds, signalled=code >= 128)
    if (engine := app.connection.ready) is not None:
        import asyncio

        asyncio.run(engine.close())
    return code

"""What a running workstation does when its settings are others than before. What needs a new start stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.settings import Settings, taken_over

if TYPE_CHECKING:
    from tui.app import HearthApp


def take(app: HearthApp, changed: Settings) -> None:
    """Go by `changed` from now on, the engine too; tell whoever follows `settings_changed`."""
    before = app.settings
    app.settings = now = taken_over(before, changed)
    if now == before:
        return
    if now.ui.animation != before.ui.animation:
        app.animation_level = now.ui.animation
    if now.ui.footer != before.ui.footer:
        app.footer_shown = now.ui.footer
    app.preferences.adopt(now)
    app.serving.adopt(now)
    app.settings_changed.publish(now)
    # It may still be starting, with the settings as they were.
    app.run_worker(lambda: app.connection.get().adopt(now), name="adopt", group="settings", thread=True)

"""Load, unload and pin from a screen: asks the engine off the loop, and says in passing what came of it."""

from __future__ import annotations

from engine.errors import HearthError, InsufficientMemory
from engine.text_safety import plain
from tui.workspace_screen import WorkspaceScreen


class ModelCare(WorkspaceScreen):
    """For screens that list models in memory."""

    def load_model(self, model: str, *, force: bool = False) -> None:
        """Load it; errors are shown. What does not fit is loaded with `force`, which is asked for."""
        self.run_worker(self._load_model(model, force), group="load")

    def unload_model(self, model: str, *, answers: bool) -> None:
        """Unload it; asks first while it `answers`."""
        if not answers:
            self.run_worker(self._unload_model(model), group="load")
            return
        from tui.confirm import Confirm

        self.app.push_screen(
            Confirm(f"Unload {plain(model, 60)}?", "It is answering; what it has not said yet is lost."),
            lambda sure: self.run_worker(self._unload_model(model), group="load") if sure else None,
        )

    def pin_model(self, model: str, pinned: bool) -> None:
        """Keep it in memory whatever comes, or let it go again."""
        self.run_worker(self._pin_model(model, pinned), group="pin")

    async def talk_to(self, model: str) -> None:
        """Make the chat talk to it, and go there."""
        await self.hearth.chat_with(model)
        self.hearth.flash(f"The chat talks to {model} now.", "success")

    async def _load_model(self, model: str, force: bool) -> None:
        self.hearth.flash(f"Loading {model} …")
        try:
            await self.hearth.engine.load(model, force=force)
        except InsufficientMemory as error:
            if force:
                self.hearth.show_error(error)
            else:
                self._ask_to_force(model, error)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"{model} is loaded.", "success")

    def _ask_to_force(self, model: str, error: InsufficientMemory) -> None:
        from tui.confirm import Confirm

        detail = f"{error.why} {error.fix}\n\nLoaded all the same, it may be very slow, or be ended for want of memory."
        self.app.push_screen(
            Confirm(f"{plain(model, 60)} does not fit. Load it all the same?", detail),
            lambda sure: self.load_model(model, force=True) if sure else None,
        )

    async def _unload_model(self, model: str) -> None:
        try:
            was_there = await self.hearth.engine.unload(model)
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            self.hearth.flash(f"{model} is unloaded." if was_there else f"{model} was not loaded.", "success")

    async def _pin_model(self, model: str, pinned: bool) -> None:
        engine = self.hearth.engine
        try:
            await (engine.pin(model) if pinned else engine.unpin(model))
        except HearthError as error:
            self.hearth.show_error(error)
        else:
            stays = "stays in memory until you let it go" if pinned else "may leave memory again"
            self.hearth.flash(f"{model} {stays}.", "success")

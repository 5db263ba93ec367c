"""The `/` commands that take a value, and what sets one: model, adapters, thinking, the form of an answer, tools."""

from __future__ import annotations

import asyncio
import difflib
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on

from engine import Engine
from engine.errors import HearthError, InvalidRequest
from engine.text_safety import plain
from engine.types import AdapterRef, ModelEntry
from tui.adapter_picker import AdapterPicker, Chosen
from tui.asking import adapters
from tui.asking.choices import choices
from tui.asking.thinking import OFF, opposed
from tui.screens.chat.composer import Composer
from tui.screens.chat.controls import (
    EFFORTS,
    FROM_FILES,
    SWITCH,
    canonical,
    taken_over,
    text_of,
    with_value,
)
from tui.screens.chat.conversation import Controls, Node
from tui.screens.chat.inspector import Inspector
from tui.screens.chat.message_actions import MessageActions
from tui.screens.chat.picture_picker import PicturePicker
from tui.screens.chat.prompt import Prompt


class ChatCommands(MessageActions):
    """What is typed behind a `/`; the screen itself is in `screen.py`."""

    composer: Composer
    inspector: Inspector
    entries: dict[str, ModelEntry]
    """The models that are known so far, by id."""

    if TYPE_CHECKING:

        async def started_engine(self) -> Engine:
            """The engine, once it has started."""
            ...

    @property
    def model_id(self) -> str:
        """The model that answers here, without the adapters that its name may hold."""
        return adapters.without_adapter(self.presenter.model_of(self.presenter.current), self.entries)

    @on(Composer.Commanded)
    async def _commanded(self, event: Composer.Commanded) -> None:
        command, argument = event.command, event.argument
        try:
            if command.takes:
                await getattr(self, f"_command_{command.action}")(argument)
            elif command.action.startswith("screen."):
                # Called, not run as an action: letters are off in the prompt, commands are not.
                done = getattr(self, f"action_{command.action.removeprefix('screen.')}")()
                if isawaitable(done):
                    await done
            else:
                await self.app.run_action(command.action, self)
        except HearthError as error:
            self.hearth.flash(error.info.sentence(), "error")

    async def _command_model(self, name: str) -> None:
        if not name:
            self.hearth.action_pick_model()
            return
        self.entries = {entry.id: entry for entry in await choices(await self.started_engine())}
        known = adapters.without_adapter(name, self.entries) in self.entries
        if not known and "/" not in name and not name.startswith("scripted:"):
            near = difflib.get_close_matches(name, self.entries, n=1)
            raise InvalidRequest(
                f"There is no model {name!r}.",
                fix=f"Did you mean {near[0]}?" if near else "/model without a name shows them all.",
            )
        self.hearth.choose_model(name)
        self.hearth.flash(f"{plain(name, 40)} answers from now on.", "success")

    async def _command_beside(self, name: str) -> None:
        self.action_beside(name)

    def action_beside(self, model: str = "") -> None:
        """Ask another model the same, and show both answers side by side."""
        node = self.view.cursor
        if node is not None and node.role != "assistant":
            chosen = self.presenter.current.chosen.get(node.id, "")
            node = self.presenter.current.nodes.get(chosen)
        if node is None or node.role != "assistant" or node.parent not in self.presenter.current.nodes:
            self.hearth.flash("There is no answer here that another could stand beside.")
        elif not self.busy():
            self.run_worker(partial(self._beside, node, model), group="beside", exclusive=True)

    async def _beside(self, first: Node, model: str) -> None:
        from tui.picker import ModelPicker
        from tui.screens.chat.beside import Beside

        conversation = self.presenter.current
        if not model:
            picked = await self.app.push_screen_wait(
                ModelPicker(first.model, title="Ask the same of", typed=True)
            )
            if picked is None or conversation is not self.presenter.current or self.busy():
                return
            model = picked
        self.view.drop_cursor()
        second = self.presenter.beside(conversation, first, model)
        taken = conversation.nodes[
            await self.app.push_screen_wait(Beside(self.presenter, conversation, first, second))
        ]
        conversation.select(taken.id)
        self.keeper.chose(conversation, taken)
        if conversation is self.presenter.current:
            await self.view.sync(taken)
            self.tell()

    async def _command_system(self, text: str) -> None:
        await self._set("system", text)

    async def _command_set(self, argument: str) -> None:
        name, _, text = argument.partition(" ")
        if not name:
            raise InvalidRequest("/set needs a name and a value.", fix="As in: /set temperature 0.2")
        await self._set(name, text)

    async def _command_adapter(self, text: str) -> None:
        if text:
            await self._set("adapter", text)
        else:
            self.action_pick_adapters()

    async def _command_think(self, text: str) -> None:
        """A level is one, a number a budget, everything else the switch; what says the opposite is taken back."""
        word = text.lower() or "auto"
        if word == "auto":
            for name in reversed(OFF):
                await self._set(name, "")
            return
        if word in EFFORTS:
            name = "effort"
        elif word.isdecimal():
            name = "think_budget"
        elif word in SWITCH:
            name = "think"
        else:
            raise InvalidRequest(
                f"/think cannot be {text!r}.",
                fix=f"Say on, off, auto, {', '.join(EFFORTS)}, or a number of tokens.",
            )
        controls = self.presenter.current.controls
        for other in opposed(name, word, {each: text_of(controls, each) for each in OFF}):
            await self._set(other, "")
        await self._set(name, word)

    async def _command_json(self, text: str) -> None:
        await self._set("json", text or "on")

    async def _command_schema(self, text: str) -> None:
        await self._set("schema", "" if text.lower() == "off" else text)

    async def _command_tools(self, text: str) -> None:
        await self._set("tools", text)

    async def _set(self, name: str, text: str) -> None:
        conversation = self.presenter.current
        entry = self.entries.get(self.model_id)
        known = entry.adapters if entry is not None else ()
        if canonical(name) in FROM_FILES:
            made = await asyncio.to_thread(with_value, Controls(), name, text)
            controls = taken_over(conversation.controls, made, name)
        else:
            controls = with_value(conversation.controls, name, text, known_adapters=known)
        if canonical(name) == "adapter" and entry is not None:
            _check(controls.adapters or (), entry)
        conversation.controls = controls
        if conversation is self.presenter.current:
            self.inspector.show(controls)
        self.tell()
        name = canonical(name)
        said = text_of(controls, name)
        self.hearth.flash(f"{name}: {plain(said, 60)}" if said else f"{name} is no longer set.", "success")

    async def _command_attach(self, path: str) -> None:
        if not path:
            self.action_attach()
            return
        await self.composer.attach(path)

    @on(Prompt.AttachAsked)
    def action_attach(self) -> None:
        """Choose a picture of the current folder."""
        coloured = self.hearth.gallery.way != "placeholder"
        self.app.push_screen(PicturePicker(Path.cwd(), coloured=coloured), self._take_picture)

    def _take_picture(self, name: str | None) -> None:
        self.composer.prompt.focus()
        if name is not None:
            self.run_worker(partial(self._attach_picture, name), group="attach")

    async def _attach_picture(self, name: str) -> None:
        try:
            await self.composer.attach(name)
        except HearthError as error:
            self.hearth.flash(error.info.sentence(), "error")

    def action_detach(self) -> None:
        """Take the last attachment out of the message that is being written."""
        self.composer.detach()

    def action_editor(self) -> None:
        """Write the message in `$EDITOR`."""
        self.composer.write_in_editor()

    # --- adapters

    def action_pick_adapters(self) -> None:
        """Choose the adapters of this conversation."""
        self.run_worker(self._pick_adapters, group="adapters", exclusive=True)

    async def _pick_adapters(self) -> None:
        """Look at the folders again: an adapter may have been put there since."""
        engine = await self.started_engine()
        self.entries = {entry.id: entry for entry in await choices(engine)}
        conversation = self.presenter.current
        picker = AdapterPicker(self.model_id, self.entries.get(self.model_id), conversation.controls.adapters)
        self.app.push_screen(picker, partial(self._take_adapters, conversation.id))

    def _take_adapters(self, conversation_id: str, chosen: Chosen | None) -> None:
        conversation = self.presenter.current
        if chosen is None or conversation.id != conversation_id:
            return
        conversation.controls = replace(conversation.controls, adapters=chosen.adapters)
        self.inspector.show(conversation.controls)
        said = adapters.written(chosen.adapters) or adapters.OWN
        self.hearth.flash(f"adapter: {plain(said, 60)}", "success")
        self.tell()

    def leave_foreign_adapters(self) -> None:
        """The model was changed: adapters of the one before do not fit it, and that is said."""
        conversation = self.presenter.current
        entry = self.entries.get(self.model_id)
        chosen = conversation.controls.adapters
        if not chosen or entry is None:
            return
        foreign = [each.name for each in chosen if each.name not in entry.adapters and "/" not in each.name]
        if foreign:
            conversation.controls = with_value(conversation.controls, "adapter", "")
            self.inspector.show(conversation.controls)
            names = ", ".join(plain(name, 30) for name in foreign)
            self.hearth.flash(f"{plain(entry.id, 40)} has no adapter {names}: its own holds.", "warning")


def _check(chosen: tuple[AdapterRef, ...], entry: ModelEntry) -> None:
    """Raises InvalidRequest for a name that the model has no adapter of, with what it has; paths are the engine's."""
    for each in chosen:
        if each.name in entry.adapters or "/" in each.name or each.name.lower() == adapters.OWN:
            continue
        broken = entry.broken_adapters.get(each.name)
        near = difflib.get_close_matches(each.name, entry.adapters, n=1)
        has = f"It has: {', '.join(entry.adapters)}." if entry.adapters else "It has none."
        raise InvalidRequest(
            f"{entry.id} has no adapter {each.name!r} that can be used.",
            broken or has,
            f"Did you mean {near[0]}?" if near else "base is the model without an adapter.",
            param="adapter",
        )

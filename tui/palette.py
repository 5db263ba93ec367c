"""The command palette's contents: what can be done here, workspaces, models, themes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.actions import parse
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen

from engine.errors import HearthError
from engine.text_safety import plain
from tui.asking.choices import choices
from tui.workspace_screen import WorkspaceScreen

if TYPE_CHECKING:
    from tui.app import HearthApp


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the palette. `found` commands show without a query too."""

    title: str
    help: str
    run: Callable[[], Any]
    found: bool = True


class HearthCommands(Provider):
    """Everything in one list, ordered: this place, the app, workspaces, themes, models."""

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    async def startup(self) -> None:
        """Collect the commands once for this opening of the palette."""
        self._commands = [*actions(self.hearth, self.screen), *places(self.hearth), *looks(self.hearth)]
        self._commands += [command async for command in models(self.hearth)]

    async def discover(self) -> Hits:
        """What shows before anything is typed."""
        for command in self._commands:
            if command.found:
                yield DiscoveryHit(Content(command.title), command.run, text=command.title, help=command.help)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for command in self._commands:
            score = matcher.match(command.title)
            if score > 0:
                shown = matcher.highlight(command.title)
                yield Hit(score, shown, command.run, text=command.title, help=command.help)


def actions(app: HearthApp, screen: Screen[Any]) -> Iterator[Command]:
    """The actions that work where the palette was opened, with their keys; those whose key is text there too."""
    offered: set[str] = set()
    for active in screen.active_bindings.values():
        action = app.actions.get(active.binding.id)
        if action is None or not action.title or not active.enabled or action.name in offered:
            continue
        offered.add(action.name)
        run = partial(app.run_action, action.method, active.node)
        yield Command(action.title, app.get_key_display(active.binding), run)
    for action in app.actions:
        if not action.title or action.name in offered:
            continue
        if action.scope == "app" and not action.keys:
            yield Command(action.title, "", partial(app.run_action, action.method, app))
        elif action.scope == app.workspace.name and isinstance(screen, WorkspaceScreen):
            node = screen.serves(action)
            if node is not None and _works(node, action.method):
                yield Command(action.title, "", partial(app.run_action, action.method, node))


def _works(node: DOMNode, method: str) -> bool:
    """Whether a node would run an action now."""
    _, name, parameters = parse(method)
    return hasattr(node, f"action_{name}") and bool(node.check_action(name, parameters))


def places(app: HearthApp) -> Iterator[Command]:
    """The other workspaces."""
    for workspace in app.workspaces:
        if workspace is not app.workspace:
            yield Command(
                f"Go to {workspace.title}", workspace.purpose, partial(app.switch_mode, workspace.name)
            )


def looks(app: HearthApp) -> Iterator[Command]:
    """The themes, once something is typed."""
    for name in app.preferences.library.load_all():
        title = app.preferences.library.titles.get(name, name)
        yield Command(f"Theme: {title}", "", partial(app.keep_theme, name), found=False)


async def models(app: HearthApp) -> AsyncIterator[Command]:
    """The models to chat with, once something is typed; an engine that cannot say has none."""
    engine = app.connection.ready
    if engine is None:
        return
    try:
        entries = await choices(engine)
    except HearthError:
        return
    for entry in entries:
        if not entry.broken:
            choose = partial(app.chat_with, entry.id)
            yield Command(
                f"Chat with {plain(entry.id, 60)}", plain(entry.quantisation, 20), choose, found=False
            )

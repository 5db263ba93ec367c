"""What can be done in Server."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("server.switch", "switch", "On/off", ("s",), "Switch the server on or off", show=True),
    Action("server.next", "view(1)", "Views", ("right",), show=True),
    Action("server.previous", "view(-1)", "Previous view", ("left",)),
    Action("server.open", "open", "Open", ("enter",)),
    Action("server.back", "back", "Back", ("escape",), "Go back from the detail to the list"),
    Action("server.cancel", "end", "Cancel", ("x",), "Cancel a request, revoke a key, take an origin back", show=True),
    Action("server.key", "new_key", "New key", ("n",), "Make a key for the server", show=True),
    Action("server.origin", "allow('origin')", "Origin", ("o",), "Let a web page's origin use the server", show=True),
    Action("server.host", "allow('host')", "Host", ("h",), "Let the server go by another name"),
    Action("server.copy", "copy_row", "Copy", ("y",), "Copy what is highlighted in Server", show=True),
    Action("server.copy_address", "copy_address", "Copy address", ("Y",), "Copy the server's address"),
    Action("server.address", "set('server.host')", "Address", ("a",), "Set the address that the server listens on"),
    Action("server.port", "set('server.port')", "Port", ("p",), "Set the server's port"),
    Action("server.prompts", "prompts", "Prompts", (), "Show prompts in the request log, or no more"),
)  # fmt: skip

"""What can be done in Models: everywhere in it, with the models that are here, with those of the hub, with pulls."""

from __future__ import annotations

from tui.actions import Action

FRAME = (
    Action(
        "models.other", "other_view", "Hub/Local", ("h",), "Go to the hub, or back to this machine", show=True
    ),
    Action("models.filter", "filter", "Search", ("slash",), "Search the models", show=True),
    Action("models.pulls", "to_pulls", "Pulls", ("q",), "Go to the pulls, or back from them", show=True),
    Action("models.leave_filter", "leave_filter", "Leave search", ("escape",)),
)
LOCAL = (
    Action("models.use", "use", "Use in chat", ("enter",), "Use this model in chat", show=True),
    Action("models.load", "load", "Load", ("l",), "Load this model", show=True),
    Action("models.unload", "unload", "Unload", ("u",), "Unload this model", show=True),
    Action("models.pin", "pin", "Pin", ("p",), "Pin this model in memory, or let it go again", show=True),
    Action("models.alias", "make_alias", "Alias", ("a",), "Make an alias of this model", show=True),
    Action(
        "models.delete", "delete", "Delete", ("d",), "Delete this model's files, after saying what that frees"
    ),
    Action(
        "models.delete_repository",
        "delete(True)",
        "Delete all of it",
        ("D",),
        "Delete all that is here of this model's repository",
    ),
    Action("models.newer", "newer", "Newer?", ("n",), "Ask the hub for a newer revision of this model"),
    Action(
        "models.newer_all",
        "newer(True)",
        "All newer?",
        ("N",),
        "Ask the hub for newer revisions of all models",
    ),
    Action("models.fits", "fits", "Fits", ("f",), "Show only what fits into memory, or all", show=True),
    Action("models.sort", "sort", "Sort", ("s",), "Sort by the next column"),
    Action("models.rescan", "rescan", "Look again", ("r",), "Look for models again"),
    Action("models.copy", "copy_path", "Copy path", ("y",), "Copy this model's path"),
    Action("models.next", "move(1)", "Next", ("j",)),
    Action("models.previous", "move(-1)", "Previous", ("k",)),
)
HUB = (
    Action(
        "models.hub.open",
        "open",
        "Open",
        ("enter",),
        "Look at this model, or pull what is chosen",
        show=True,
    ),
    Action("models.hub.pull", "pull", "Pull", ("p",), "Pull what is chosen, or what is best here", show=True),
    Action(
        "models.hub.fits", "turn('fits')", "Fits", ("f",), "Show only what may fit here, or all", show=True
    ),
    Action("models.hub.format", "turn('library')", "Format", ("m",), "Search for the next format", show=True),
    Action("models.hub.task", "turn('task')", "Task", ("t",), "Search for the next task"),
    Action("models.hub.size", "turn('size')", "Size", ("z",), "Search for the next size"),
    Action(
        "models.hub.sort",
        "turn('order')",
        "Sort",
        ("s",),
        "Sort by downloads, likes, date or trend",
        show=True,
    ),
    Action("models.hub.again", "again", "Search again", ("r",), "Ask the hub again"),
    Action("models.hub.copy", "copy_name", "Copy name", ("y",), "Copy this model's name"),
    Action("models.hub.next", "move(1)", "Next", ("j",)),
    Action("models.hub.previous", "move(-1)", "Previous", ("k",)),
    Action("models.hub.back", "back", "Back", ("escape",)),
)
PULLS = (
    Action(
        "models.pulls.go_on",
        "go_on",
        "Go on",
        ("enter",),
        "Go on with this pull, or see why it failed",
        show=True,
    ),
    Action("models.pulls.cancel", "cancel", "Cancel", ("x",), "Cancel this pull, or put it away", show=True),
    Action("models.pulls.clear", "clear", "Clear", ("c",), "Put away every pull that has ended", show=True),
    Action("models.pulls.back", "back", "Back", ("escape",)),
)
ACTIONS = FRAME + LOCAL + HUB + PULLS

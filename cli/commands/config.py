"""`hearth config show | list | get | set | unset | check | schema | path`: what holds, and changing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import guarded

if TYPE_CHECKING:
    from engine.errors import ErrorInfo, InvalidSettings
    from engine.settings import Loaded, SettingState

WHEN = {
    "now": "at once",
    "answer": "from the next answer",
    "load": "from the next load",
    "start": "from the next start",
}
"""From when on a workstation that runs goes by a change that is made in its settings screen."""

app = typer.Typer(
    help="Show, change and check the settings.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def show(
    context: typer.Context,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="Only these keys or sections, such as ui or server.port."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print key, value and source as JSON.")] = False,
) -> None:
    """Every setting with its value and where that comes from."""
    raise typer.Exit(guarded(lambda: _show(context, keys or [], json)))


@app.command("list")
def list_(
    context: typer.Context,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="Only these keys or sections, such as ui or server.port."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print everything about each setting as JSON.")
    ] = False,
) -> None:
    """Every setting with its value, its default, when a change of it holds, and what it is."""
    raise typer.Exit(guarded(lambda: _list(context, keys or [], json)))


@app.command()
def get(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A setting, such as server.port.")],
    json: Annotated[bool, typer.Option("--json", help="Print the value as JSON.")] = False,
) -> None:
    """The value of one setting; nothing where it is not set."""
    raise typer.Exit(guarded(lambda: _get(context, key, json)))


# A value may begin with a dash, as -1 does.
@app.command("set", context_settings={"ignore_unknown_options": True})
def set_(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A setting, such as server.port.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help='Its value; a list as a,b or ["a", "b"].')],
) -> None:
    """Write one setting to your settings file; its comments and its order stay."""
    raise typer.Exit(guarded(lambda: _set(context, key, value)))


@app.command()
def unset(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A setting, such as server.port.")],
) -> None:
    """Take one setting out of your settings file, so that its default holds."""
    raise typer.Exit(guarded(lambda: _unset(context, key)))


@app.command()
def check(context: typer.Context) -> None:
    """Read the settings and say everything that is wrong with them; exit status 2 if anything is."""
    raise typer.Exit(guarded(lambda: _check(context)))


@app.command()
def schema() -> None:
    """The JSON Schema of a settings file, for editors that check and complete by it."""
    import msgspec

    from engine import settings

    print(msgspec.json.format(msgspec.json.encode(settings.schema())).decode())


@app.command()
def path(context: typer.Context) -> None:
    """The files that settings are read from, the strongest first."""
    raise typer.Exit(guarded(lambda: _path(context)))


def _chosen(context: typer.Context, keys: list[str]) -> list[SettingState]:
    from engine import settings
    from engine.errors import InvalidRequest

    loaded = context.obj.load()
    every = [row for state in settings.states(loaded) for row in settings.by_name(loaded, state)]
    for key in keys:
        if not any(_within(row.key, key) for row in every):
            near = " or ".join(f"`{name}`" for name in settings.near(key))
            raise InvalidRequest(
                f"There is no setting {key!r}.",
                fix=(f"Did you mean {near}? " if near else "") + "`hearth config show` lists them all.",
                param=key,
            )
    return [row for row in every if not keys or any(_within(row.key, key) for key in keys)]


def _list(context: typer.Context, keys: list[str], json: bool) -> int:
    import msgspec

    from cli.columns import columns

    rows = _chosen(context, keys)
    if json:
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return 0
    heads = ("KEY", "VALUE", "DEFAULT", "FROM", "CHANGES HOLD", "WHAT IT IS")
    told = (
        (row.key, _shown(row.value), _shown(row.default), row.source, WHEN[row.applies], row.description)
        for row in rows
    )
    print(columns([heads, *told]))
    return 0


def _get(context: typer.Context, key: str, json: bool) -> int:
    import msgspec

    from engine.errors import InvalidRequest

    rows = _chosen(context, [key])
    if [row.key for row in rows] != [key]:
        raise InvalidRequest(
            f"`{key}` is a section.", fix=f"`hearth config show {key}` shows what is in it.", param=key
        )
    value = rows[0].value
    if json:
        print(msgspec.json.encode(value).decode())
    elif value is not None:
        print(_shown(value))
    return 0


def _set(context: typer.Context, key: str, text: str) -> int:
    from cli.terminal_text import dim
    from engine import settings

    file = _own(context)
    if key == "ui.theme" and (
        problem := _theme_problem(settings.parsed(key, text, Path.cwd()), "You gave that")
    ):
        raise problem
    value = settings.set_value(file, key, text)
    print(f"{key} = {_shown(value)}, written to {file}")
    _say_what_stands_above(context, key, file)
    for problem in on_the_screen(context.obj.check()[0]):
        if problem.param == key:
            print(dim(problem.sentence(), sys.stderr), file=sys.stderr)
    return 0


def _unset(context: typer.Context, key: str) -> int:
    from engine import settings

    file = _own(context)
    was_there = settings.unset(file, key)
    print(f"{key} is no longer set by {file}" if was_there else f"{key} is not set by {file}")
    _say_what_stands_above(context, key, file)
    return 0


def _own(context: typer.Context) -> Path:
    from engine import settings

    return settings.files(context.obj.file)[0]


def _say_what_stands_above(context: typer.Context, key: str, file: Path) -> None:
    """Warn where what was just written is not what holds."""
    from cli.terminal_text import dim

    loaded, _ = context.obj.check()
    source = loaded.sources.get(key, "default")
    if source not in ("default", str(file)):
        note = f"It is set elsewhere too, and that holds: {source}."
        print(dim(note, sys.stderr), file=sys.stderr)


def _show(context: typer.Context, keys: list[str], json: bool) -> int:
    import msgspec

    from cli.columns import columns

    rows = _chosen(context, keys)
    if json:
        data = [{"key": row.key, "value": row.value, "source": row.source} for row in rows]
        print(msgspec.json.format(msgspec.json.encode(data)).decode())
    else:
        print(
            columns([("KEY", "VALUE", "FROM"), *((row.key, _shown(row.value), row.source) for row in rows)])
        )
    return 0


def _check(context: typer.Context) -> int:
    from cli.errors import OK, USAGE, show

    loaded, problems = context.obj.check()
    infos = [problem.info for problem in problems] + on_the_screen(loaded)
    for info in infos:
        show(info)
    if infos:
        return USAGE
    for file in loaded.files:
        print(f"{file}: good")
    if not loaded.files:
        print("No settings file; the defaults hold.")
    return OK


def on_the_screen(loaded: Loaded) -> list[ErrorInfo]:
    """What the workstation could not use of its section: a theme that is none, keys that are none."""
    from engine import paths
    from engine.errors import InvalidSettings
    from tui import keymap
    from tui.workspaces import WORKSPACES, registry

    ui, places = loaded.settings.ui, paths.resolve()
    problem = _theme_problem(ui.theme, loaded.sources["ui.theme"])
    found = [] if problem is None else [problem]
    keys = Path(ui.keymap) if ui.keymap else places.keymap_file
    if ui.keymap and not keys.exists():
        found.append(
            InvalidSettings(
                f"`ui.keymap` names {keys}, which is not there.",
                f"{loaded.sources['ui.keymap']}.",
                "Write that file, or remove the setting.",
                param="ui.keymap",
            )
        )
    found += [
        InvalidSettings("The keymap has a line that cannot be used.", f"{keys}: {problem}", "Correct it.")
        for problem in keymap.load(keys, registry(WORKSPACES)).problems
    ]
    return [problem.info for problem in found]


def _theme_problem(theme: str, source: str) -> InvalidSettings | None:
    """Why the screen could not be drawn in the theme that `source` names; None where it can."""
    from engine import paths
    from engine.errors import InvalidSettings
    from tui import themes

    places = paths.resolve()
    library = themes.ThemeLibrary((themes.BUILTIN, places.themes))
    known = library.load_all()
    if theme in known:
        return None
    broken = {path.stem: problem for path, problem in library.problems.items()}
    return InvalidSettings(
        f"`ui.theme` cannot be {theme!r}.",
        f"{source}: {broken.get(theme, 'there is no such theme')}.",
        f"Give one of {', '.join(sorted(known))}, or put a theme file into {places.themes}.",
        param="ui.theme",
    )


def _path(context: typer.Context) -> int:
    from engine import settings

    for file in reversed(settings.files(context.obj.file)):
        print(f"{file}" + ("" if file.is_file() else "  (not there)"))
    return 0


def _within(key: str, wanted: str) -> bool:
    return key == wanted or key.startswith(wanted + ".")


def _shown(value: Any) -> str:
    import msgspec

    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""`hearth config show | check | schema | path`: the settings in force, and where each value comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.errors import guarded

app = typer.Typer(
    help="Show and check the settings.",
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


@app.command()
def check(context: typer.Context) -> None:
    """Read the settings and say what is wrong, if anything is; exit status 2 then."""
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


def _show(context: typer.Context, keys: list[str], json: bool) -> int:
    import msgspec

    from cli.columns import columns
    from engine import settings
    from engine.errors import InvalidRequest

    every = settings.rows(context.obj.load())
    rows = [row for row in every if not keys or any(_within(row.key, key) for key in keys)]
    for key in keys:
        if not any(_within(row.key, key) for row in every):
            raise InvalidRequest(
                f"There is no setting {key!r}.", fix="`hearth config show` lists them all.", param=key
            )
    if json:
        data = [{"key": row.key, "value": row.value, "source": row.source} for row in rows]
        print(msgspec.json.format(msgspec.json.encode(data)).decode())
    else:
        print(
            columns([("KEY", "VALUE", "FROM"), *((row.key, _shown(row.value), row.source) for row in rows)])
        )
    return 0


def _check(context: typer.Context) -> int:
    loaded = context.obj.load()
    for file in loaded.files:
        print(f"{file}: good")
    if not loaded.files:
        print("No settings file; the defaults hold.")
    return 0


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

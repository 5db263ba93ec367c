"""`hearth prompts`: named system prompts with their versions."""

from __future__ import annotations

import difflib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.types import PromptVersion

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Keep named system prompts, with versions. An alias uses one by --prompt NAME, or NAME@3 for the third.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")]


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the prompts."""
    from cli.errors import guarded

    def work() -> int:
        from cli.columns import columns
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import dim

        found = with_engine(context, lambda engine: engine.prompts())
        if json:
            print_json(found)
            return 0
        if not found:
            print(
                dim("There is none. Make one with: hearth prompts set NAME TEXT", sys.stderr), file=sys.stderr
            )
            return 0
        rows = [("PROMPT", "VERSIONS", "CHANGED", "TEXT")]
        for each in found:
            last = each.versions[-1] if each.versions else None
            changed = _day(last.created) if last is not None else "-"
            text = _line(last.text) if last is not None else f"broken: {each.broken}"
            rows.append((each.name, str(len(each.versions)), changed, text))
        print(columns(rows))
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[@N]", help="A prompt, or one of its versions.")],
    versions: Annotated[bool, typer.Option("--versions", help="List its versions.")] = False,
    json: Json = False,
) -> None:
    """Print the text of a prompt, the newest version or that one."""
    from cli.errors import guarded

    def work() -> int:
        from cli.columns import columns
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import for_stream

        bare, number = _apart(name)
        found = with_engine(context, lambda engine: engine.prompt(bare))
        if versions:
            if json:
                print_json(found)
            else:
                rows = [("VERSION", "CHANGED", "NOTE", "TEXT")]
                rows += [
                    (str(place), _day(each.created), each.note or "-", _line(each.text))
                    for place, each in enumerate(found.versions, 1)
                ]
                print(columns(rows))
            return 0
        place = len(found.versions) if number is None else number
        version = _version(found.versions, place, bare)
        if json:
            print_json({"name": found.name, "version": place, **_fields(version)})
        else:
            print(for_stream(version.text, sys.stdout))
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def diff(
    context: typer.Context,
    name: Name,
    old: Annotated[int, typer.Argument(metavar="N", help="A version.")],
    new: Annotated[int | None, typer.Argument(metavar="M", help="Another; the newest without it.")] = None,
    json: Json = False,
) -> None:
    """What changed from one version to another, line by line."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import for_stream

        versions = with_engine(context, lambda engine: engine.prompt(name)).versions
        last = len(versions) if new is None else new
        texts = [_version(versions, place, name).text.splitlines() for place in (old, last)]
        lines = list(difflib.unified_diff(*texts, f"{name}@{old}", f"{name}@{last}", lineterm=""))
        if json:
            print_json(lines)
        else:
            print(for_stream("\n".join(lines), sys.stdout) if lines else "They are the same.")
        return 0

    raise typer.Exit(guarded(work))


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text; - or nothing reads standard input.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="The text is in it.")
    ] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What is new about this version.")] = "",
    json: Json = False,
) -> None:
    """Make a text the newest version of a prompt; no version is ever lost."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine
        from cli.text_files import text_of
        from engine.errors import InvalidRequest

        if text not in (None, "-") and file is not None:
            raise InvalidRequest("The text is said twice.", "As an argument and by --file.", "Leave one out.")
        said = text if text not in (None, "-") else text_of(file or Path("-")).removesuffix("\n")
        number = with_engine(context, lambda engine: engine.put_prompt(name, said, note))
        if json:
            print_json({"name": name, "version": number})
        else:
            print(f"{name}@{number}")
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def restore(
    context: typer.Context,
    name: Name,
    version: Annotated[int, typer.Argument(metavar="N", help="The version to take up again.")],
    json: Json = False,
) -> None:
    """Make an old version the newest."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine

        number = with_engine(context, lambda engine: engine.restore_prompt(name, version))
        if json:
            print_json({"name": name, "version": number})
        else:
            print(f"{name}@{number} is {name}@{version} again.")
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def rm(
    context: typer.Context,
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Also where aliases use it.")] = False,
    json: Json = False,
) -> None:
    """Forget a prompt with all its versions."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine

        with_engine(context, lambda engine: engine.remove_prompt(name, force=force))
        if json:
            print_json({"removed": name})
        else:
            print(f"{name} is removed.")
        return 0

    raise typer.Exit(guarded(work))


def _apart(name: str) -> tuple[str, int | None]:
    from engine.library.prompts import split

    return split(name)


def _version(versions: Sequence[PromptVersion], number: int, name: str) -> PromptVersion:
    from engine.errors import InvalidRequest

    if not 1 <= number <= len(versions):
        raise InvalidRequest(
            f"The prompt {name!r} has no version {number}.",
            f"It has {len(versions)}.",
            f"`hearth prompts show {name} --versions` lists them.",
            param="prompt",
        )
    return versions[number - 1]


def _fields(version: PromptVersion) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(version)


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else "-"


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"

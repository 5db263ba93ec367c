"""`hearth password set | remove | status`: who may see conversations and jobs in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.errors import OK, guarded

app = typer.Typer(
    help="The password of the web page: conversations and jobs are for who knows it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("set")
def set_password(
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read it from standard input, as a script would send it.")
    ] = False,
) -> None:
    """Set it, or another one: whoever is signed in has to sign in anew. Only its hash is kept."""
    raise typer.Exit(guarded(lambda: _set(stdin)))


@app.command()
def remove() -> None:
    """Take it away: nobody can sign in any more."""
    raise typer.Exit(guarded(_remove))


@app.command()
def status() -> None:
    """Say whether there is one."""
    raise typer.Exit(guarded(_status))


def _set(stdin: bool) -> int:
    from api import WebPassword
    from engine.paths import resolve

    WebPassword(resolve()).set(_read() if stdin else _asked())
    print("The password is set, for servers that run too.")
    return OK


def _read() -> str:
    import sys

    return sys.stdin.readline().rstrip("\r\n")


def _asked() -> str:
    import sys
    from getpass import getpass

    from engine.errors import InvalidRequest

    if not sys.stdin.isatty():
        raise InvalidRequest(
            "Nobody can type a password here.",
            "Standard input is no terminal.",
            "`hearth password set --stdin` reads it from there.",
        )
    first = getpass("New password: ")
    if getpass("Once more: ") != first:
        raise InvalidRequest("The two were not the same.", fix="Begin anew.")
    return first


def _remove() -> int:
    from api import WebPassword
    from engine.paths import resolve

    if WebPassword(resolve()).remove():
        print("The password is removed; nobody is signed in any more.")
    else:
        print("There was none.")
    return OK


def _status() -> int:
    from api import WebPassword
    from engine.paths import resolve

    if WebPassword(resolve()).is_set:
        print("A password is set.")
    else:
        print("No password is set. `hearth password set` sets one.")
    return OK

"""`hearth keys create | list | revoke`: who else may use the server."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.errors import OK, guarded

app = typer.Typer(
    help="Keys for programs that use the server.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; metrics and logs go by it.")],
    scopes: Annotated[
        str,
        typer.Option(
            "--scopes", help="What it may do: generate, manage, admin; several with commas between."
        ),
    ] = "generate",
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="After how long it ends, such as 30d or 12h."),
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", min=1, help="Most requests in a minute.")
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option("--concurrent", min=1, help="Most requests at once.")
    ] = None,
) -> None:
    """Make a key and print it. It is shown this once; only its hash is kept."""
    raise typer.Exit(guarded(lambda: _create(name, scopes, expires, per_minute, concurrent)))


@app.command("list")
def list_keys(json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """Every key, without its secret."""
    raise typer.Exit(guarded(lambda: _list(json)))


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Name or id of the key.")]) -> None:
    """Make a key useless; what it runs just now is ended."""
    raise typer.Exit(guarded(lambda: _revoke(name)))


def _create(
    name: str, scopes: str, expires: str | None, per_minute: int | None, concurrent: int | None
) -> int:
    import sys

    from api import Keyring
    from engine.errors import InvalidRequest
    from engine.paths import resolve
    from engine.settings import parse_duration

    lifetime = None
    if expires is not None:
        try:
            lifetime = parse_duration(expires)
        except ValueError as error:
            raise InvalidRequest(f"{expires!r} is no time.", str(error)) from None
        if lifetime <= 0:
            raise InvalidRequest(f"{expires!r} is over already.", fix="Write a time such as 30d.")
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    key, secret = Keyring(resolve()).create(
        name,
        wanted,  # type: ignore[arg-type]
        lifetime=lifetime,
        per_minute=per_minute,
        concurrent=concurrent,
    )
    print(secret)
    print(f"Key {key.id} for {name}. It is not shown again.", file=sys.stderr)
    return OK


def _list(json: bool) -> int:
    import time

    import msgspec

    from api import Keyring
    from cli.columns import columns
    from engine.paths import resolve

    keys = Keyring(resolve()).keys()
    if json:
        shown = [
            {name: value for name, value in msgspec.to_builtins(key).items() if name != "hash"}
            for key in keys
        ]
        print(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return OK
    if not keys:
        print("There are no keys. `hearth keys create NAME` makes one.")
        return OK

    def day(seconds: float | None) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(seconds)) if seconds else "never"

    now = time.time()
    rows = [("ID", "NAME", "SCOPES", "MADE", "ENDS", "STATE")]
    for key in keys:
        state = "revoked" if key.revoked else "usable" if key.usable(now) else "expired"
        rows.append((key.id, key.name, ",".join(key.scopes), day(key.created), day(key.expires), state))
    print(columns(rows))
    return OK


def _revoke(name: str) -> int:
    from api import Keyring
    from engine.paths import resolve

    key = Keyring(resolve()).revoke(name)
    print(f"Key {key.id} ({key.name}) is revoked.")
    return OK

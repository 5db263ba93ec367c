"""`hearth export NAME`: an alias as an Ollama Modelfile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def export(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An alias or a model.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A new file to write; standard output without it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Write an alias as an Ollama Modelfile.

    What Ollama has no word for stands in a comment that `hearth import` reads.
    """
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import for_stream
        from engine.errors import InvalidRequest

        text = with_engine(context, lambda engine: engine.export_alias(name))
        if file is not None:
            try:
                with file.open("x", encoding="utf-8", newline="") as written:
                    written.write(text)
            except OSError as error:
                raise InvalidRequest(
                    f"{file} cannot be written.", f"{error.strerror or error}.", param="file"
                ) from None
        if json:
            print_json({"name": name, "modelfile": text, "file": None if file is None else str(file)})
        elif file is None:
            print(for_stream(text, sys.stdout), end="")
        return 0

    raise typer.Exit(guarded(work))

"""`hearth import FILE...`: conversations of other programs; with `--alias NAME` an alias of an Ollama Modelfile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command("import", context_settings={"help_option_names": ["-h", "--help"]})
def import_(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="A history, or a Modelfile; - for standard input."),
    ],
    alias: Annotated[
        str | None, typer.Option("--alias", metavar="NAME", help="The file is a Modelfile: the new name.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also for a model that is not here.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--replace", help="In place of the alias that has the name already.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what became of it as JSON.")] = False,
) -> None:
    """Take the conversations of ChatGPT, LM Studio or oterm in, as `hearth conversations import` does.

    With --alias make an alias of an Ollama Modelfile; what of it has no meaning here is said on stderr.
    """
    from cli.errors import guarded

    if alias is None:
        from cli.commands.conversations import import_ as conversations

        conversations(context, [str(file) for file in files], None, json)
        return

    def work() -> int:
        from engine.errors import InvalidRequest

        if len(files) != 1:
            raise InvalidRequest("An alias is made of one file.", f"{len(files)} are named.", param="file")
        file = files[0]
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import dim
        from cli.text_files import text_of
        from engine.text_safety import clean, plain

        text = text_of(file)
        folder = str(Path.cwd() if str(file) == "-" else file.absolute().parent)
        remarks = with_engine(
            context, lambda engine: engine.import_alias(alias, text, folder, force=force, overwrite=overwrite)
        )
        kept = with_engine(context, lambda engine: engine.alias(alias))
        if json:
            print_json({"alias": kept, "remarks": remarks})
            return 0
        for remark in remarks:
            print(dim(clean(remark), sys.stderr), file=sys.stderr)
        model = kept.alias.model if kept.alias is not None else ""
        print(f"{kept.name} stands for {plain(model, 200)}. See: hearth show {kept.name}")
        return 0

    raise typer.Exit(guarded(work))

"""`hearth chat [MODEL] [PROMPT]`: a conversation in this terminal, or one question and its answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.flags import takes_options
from cli.options import Values, request_fields

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@takes_options
def chat(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="A model, or MODEL:ADAPTER; the default model if none is named."
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="One question; without it, and on a terminal, talk."),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="A picture to show to the model, before the text; may be given many times.",
            rich_help_panel="Answer",
        ),
    ] = None,
    input_file: Annotated[
        str | None,
        typer.Option(
            "--input-file", metavar="FILE", help="Read the question from this file.", rich_help_panel="Answer"
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A JSON file of OpenAI messages that the conversation goes on from, and is written to.",
            rich_help_panel="Answer",
        ),
    ] = None,
    save: Annotated[
        bool | None,
        typer.Option(
            "--save/--no-save",
            help="Keep the conversation where the workstation keeps its own. Default: if it is a talk.",
            rich_help_panel="Answer",
        ),
    ] = None,
    *,
    values: Values,
) -> None:
    """Talk to a model in this terminal, or ask it one question.

    One argument alone is the PROMPT if it names no model and holds a space, or comes with an --image. Pictures for no
    MODEL go to the default model if it takes them, else to the first one here that does.

    With a PROMPT, an --input-file or text piped in, only the answer is printed; both are joined, the PROMPT last.
    Otherwise a conversation opens: /help lists its commands.
    """
    from cli.errors import guarded

    raise typer.Exit(
        guarded(
            lambda: run(
                context,
                model,
                prompt,
                values,
                tuple(image or ()),
                input_file=input_file,
                history=history,
                save=save,
            )
        )
    )


def run(
    context: typer.Context,
    model: str | None,
    prompt: str | None,
    values: Values,
    images: tuple[str, ...] = (),
    *,
    input_file: str | None = None,
    history: str | None = None,
    save: bool | None = None,
) -> int:
    """Chat under the settings in force; the exit status. Raises HearthError."""
    from cli.chat.session import Session
    from cli.signals import leave_on_signals
    from engine.errors import StorageFailed

    request_fields(values)
    if sys.stdout is None:
        raise StorageFailed("The answer cannot be written.", "There is no standard output.", "Open it.")
    if images:
        from cli.chat.images import image_parts

        image_parts(images)  # what cannot go along is told before a model is looked for
    settings = context.obj.load().settings
    from cli.chat.addressed import addressed

    model, prompt = addressed(context.obj, settings, model, prompt, images=bool(images))
    talking = (
        prompt is None
        and input_file is None
        and sys.stdin is not None
        and sys.stdin.isatty()
        and sys.stdout.isatty()
    )
    if not talking:
        from cli.chat.oneshot import prompt_of

        content = prompt_of(prompt, images, input_file)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]

    session = Session(model, dict(values))
    held = None
    if history is not None:
        from cli.chat.history_file import HistoryFile

        held = HistoryFile(Path(history))
        session.messages = list(held.messages)
    from cli.engines import names_files, opened
    from engine.text_safety import clean

    leave_on_signals()
    files = names_files([session.model, *_named(values)])
    engine = opened(context.obj, settings, computes=not files, screen_attached=talking)
    with asyncio.Runner() as runner:
        try:
            if not talking:
                from cli.chat.oneshot import ask

                kept = None
                if save:
                    from cli.chat.kept import KeptChat

                    kept = KeptChat(engine, session, lambda text: print(clean(text), file=sys.stderr))
                return runner.run(ask(engine, session, content, kept=kept, history=held))
            from cli.chat.interactive import Chat
            from engine import paths

            chat = Chat(engine, session, runner, images, keep=save is not False, history=held)
            return chat.loop(paths.resolve().history_file)
        finally:
            runner.run(engine.close())


def _named(values: Values) -> list[str]:
    """The models and adapters that options name."""
    fields = request_fields(values)
    adapters = [each.name for each in fields.get("adapters") or ()]
    draft = getattr(fields.get("load"), "draft_model", None)
    return [*adapters, *([draft] if draft else [])]

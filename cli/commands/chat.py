"""`hearth chat [MODEL] [PROMPT]`: a conversation in this terminal, or one question and its answer."""

from __future__ import annotations

import asyncio
import sys
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
    *,
    values: Values,
) -> None:
    """Talk to a model in this terminal, or ask it one question.

    With a PROMPT, or with text piped in, only the answer is printed; both are joined, the PROMPT last.
    Otherwise a conversation opens: /help lists its commands.
    """
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(context, model, prompt, values, tuple(image or ()))))


def run(
    context: typer.Context,
    model: str | None,
    prompt: str | None,
    values: Values,
    images: tuple[str, ...] = (),
) -> int:
    """Chat under the settings in force; the exit status. Raises HearthError."""
    from cli.chat.session import Session
    from cli.signals import leave_on_signals
    from engine.errors import StorageFailed

    request_fields(values)
    if sys.stdout is None:
        raise StorageFailed("The answer cannot be written.", "There is no standard output.", "Open it.")
    talking = prompt is None and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if not talking:
        from cli.chat.oneshot import prompt_of

        content = prompt_of(prompt, images)
    elif images:
        from cli.chat.images import image_parts

        image_parts(images)  # what cannot go along is told before a model is loaded
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]

    settings = context.obj.load().settings
    session = Session(model or settings.models.default, dict(values))
    from engine import LocalEngine

    leave_on_signals()
    engine = LocalEngine(settings, screen_attached=talking)
    with asyncio.Runner() as runner:
        try:
            if not talking:
                from cli.chat.oneshot import ask

                return runner.run(ask(engine, session, content))
            from cli.chat.interactive import Chat
            from engine import paths

            return Chat(engine, session, runner, images).loop(paths.resolve().history_file)
        finally:
            runner.run(engine.close())

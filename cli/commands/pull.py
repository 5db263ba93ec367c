"""`hearth pull REF`: fetch a model from the hub into the cache that all Hugging Face programs share."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine import Engine
    from engine.types import PullPlan, PullRequest, PullState

LEAVING_S = 3.0
"""How long a pull that is given up may take to say so."""
app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def pull(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="REF", help="org/name, org/name:Q4_K_M, hf.co/org/name, org/name@revision."),
    ] = None,
    quant: Annotated[
        str | None, typer.Option("--quant", metavar="NAME", help="The quantisation, if REF does not say it.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="NAME", help="A branch, a tag or a commit.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what could be fetched, and fetch nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with every pull that was broken off.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fetch models: the right files only, verified, and from where an earlier pull was broken off.

    Without a quantisation the best that fits into this machine's memory is taken, Q4_K_M before others. The path of
    the model is printed when it is here; how far it is goes to stderr.
    """
    from cli.errors import guarded

    wanted = models or []
    raise typer.Exit(guarded(lambda: run(context, wanted, quant, revision, dry_run, resume, json)))


def run(
    context: typer.Context,
    models: list[str],
    quant: str | None,
    revision: str | None,
    dry_run: bool,
    resume: bool,
    json: bool,
) -> int:
    """Pull one after the other; the exit status. Raises HearthError."""
    from cli.engines import opened
    from engine.errors import InvalidRequest
    from engine.types import PullRequest

    requests = [PullRequest(model=model, quantisation=quant, revision=revision) for model in models]
    engine = opened(context.obj, context.obj.load().settings, computes=False)
    with asyncio.Runner() as runner:
        try:
            interrupted = runner.run(engine.interrupted_pulls()) if resume or not requests else []
            if resume:
                requests += [PullRequest(model=state.model) for state in interrupted]
                if not requests:
                    print("No pull was broken off.", file=sys.stderr)
            elif not requests:
                names = ", ".join(state.model for state in interrupted)
                raise InvalidRequest(
                    "No model was named.",
                    f"Broken off before: {names}." if names else "",
                    "Go on with these: hearth pull --resume" if names else "As in: hearth pull org/name",
                )
            return runner.run(_plans(engine, requests, json) if dry_run else _pulls(engine, requests, json))
        finally:
            runner.run(engine.close())


async def _pulls(engine: Engine, requests: list[PullRequest], json: bool) -> int:
    import msgspec

    from cli.errors import FAILED, OK, show
    from cli.progress_line import ProgressLine
    from cli.pull_progress import show as draw

    streams = [engine.pull(request) for request in requests]
    ended: list[PullState] = []
    for stream in streams:
        with ProgressLine(sys.stderr) as progress:
            try:
                async for state in stream:
                    draw(progress, state)
            except asyncio.CancelledError:
                # Ctrl-C: what is here is kept. Another Hearth has to be told before we leave it.
                for each in streams:
                    each.cancel()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stream.wait(), LEAVING_S)
                progress.note("Broken off. What is here stays; the same command goes on from there.")
                raise
        ended.append(state)
        if state.error is not None:
            show(state.error)
        elif not json:
            print(state.path)
    if json:
        print(msgspec.json.format(msgspec.json.encode(ended)).decode())
    return OK if all(state.stage == "done" for state in ended) else FAILED


async def _plans(engine: Engine, requests: list[PullRequest], json: bool) -> int:
    import msgspec

    from cli.errors import OK

    found = [await engine.plan_pull(request) for request in requests]
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for plan in found:
            show_plan(plan)
    return OK


def show_plan(plan: PullPlan) -> None:
    """Every form that could be pulled, the chosen one marked, then its files."""
    from cli.columns import columns
    from cli.commands.models import size_of
    from cli.terminal_text import dim
    from engine.text_safety import plain

    print(f"{plan.model} at {plan.commit[:12]}")
    rows = [("", "QUANT", "SIZE", "NEEDS", "HERE", "")]
    for each in plan.offered:
        mark = "*" if each.name == plan.chosen.name and each.format == plan.chosen.format else ""
        here = f"{each.present / each.size:.0%}" if each.present and each.size else "-"
        need = size_of(each.need) if each.need else "-"
        words = {"fits": "fits", "tight": "tight: with a small context only", "too big": "too big"}
        verdict = words.get(each.verdict, "")
        rows.append((mark, each.name, size_of(each.size), need, here, verdict))
    print(columns(rows))
    print()
    print(columns([(f"  {file.path}", size_of(file.size)) for file in plan.chosen.files]))
    print(f"{size_of(plan.missing)} to fetch, {size_of(plan.disk_free)} free on the disk.")
    for name in plan.unsafe:
        print(dim(f"Left out, since its name is not safe: {plain(name, 80)}", sys.stdout))

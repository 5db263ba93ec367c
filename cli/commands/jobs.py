"""`hearth jobs submit | list | show | watch | cancel | retry | secret`: work that is left to be done, from the shell.

Jobs go straight into the database: whichever Hearth of this user is open, or opens next, runs them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import guarded

if TYPE_CHECKING:
    from engine import LocalJobs
    from engine.settings import Settings
    from engine.types import Job

app = typer.Typer(
    help="Submit jobs, and see what became of them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID", help="Numbers of jobs.")]
_SHOWN = 60


@app.command()
def submit(
    context: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[QUESTION]", help="What to ask; else it is read from a file or a pipe."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="Whom to ask; else the default model.")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="TEXT", help="The system prompt.")
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input-file", metavar="FILE", help="Read the question from this file.")
    ] = None,
    conversation: Annotated[
        str,
        typer.Option(
            "--conversation", "-c", metavar="ID", help="Ask it in this conversation, or begin that one."
        ),
    ] = "",
    priority: Annotated[
        int, typer.Option("--priority", "-p", min=-1000, max=1000, help="Higher ones go first.")
    ] = 0,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Most tokens of the answer.")
    ] = None,
    attempts: Annotated[int | None, typer.Option(min=1, max=100, help="Most attempts.")] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long an attempt may take, such as 10m.")
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="TEXT", help="Idempotency key: the same key is the same job.")
    ] = "",
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Tell this address when it has ended (jobs.webhook_allow)."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for the answer and print it.")] = False,
    json: Json = False,
) -> None:
    """Queue a question; prints the number of the job."""

    async def work(jobs: LocalJobs, settings: Settings) -> int:
        from engine.types import GenerationRequest, JobRequest, Message

        request = GenerationRequest(
            model=model or settings.models.default,
            messages=(Message(role="user", content=_question(prompt, input_file)),),
            system=system,
            max_tokens=max_tokens,
        )
        job = await jobs.submit(
            JobRequest(
                request=request,
                conversation=conversation,
                client="cli",
                priority=priority,
                attempts=attempts,
                timeout=_seconds(timeout),
                idempotency_key=key,
                webhook=webhook,
            )
        )
        if watch:
            return await _watched(jobs, job, json)
        if json:
            _print_json(job)
        else:
            print(job.id)
        _tell_if_nobody_works(jobs)
        return 0

    _run(context, work)


@app.command("list")
def list_(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="Words of question, answer, model or error.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="queued, processing, done, error or cancelled."),
    ] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", "-c", metavar="ID", help="Those of this conversation.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """The jobs, the newest first."""

    async def work(jobs: LocalJobs, settings: Settings) -> int:
        from engine.types import JobQuery

        page = await jobs.find(
            JobQuery(
                text=" ".join(words or ()),
                states=_states(state or []),
                conversation=conversation,
                limit=limit,
            )
        )
        if json:
            _print_json(page)
            return 0
        from cli.columns import columns
        from cli.terminal_text import dim

        if not page.jobs:
            none = "Nothing fits." if words or state or conversation else "No job has been submitted yet."
            print(dim(none, sys.stderr), file=sys.stderr)
            return 0
        rows = [("ID", "STATE", "ATTEMPT", "SUBMITTED", "MODEL", "QUESTION")]
        for job in page.jobs:
            question = " ".join(job.prompt.split())
            short = question if len(question) <= _SHOWN else f"{question[: _SHOWN - 1]}…"
            attempt = f"{job.attempt}/{job.attempts}"
            rows.append((str(job.id), job.state, attempt, _moment(job.created), job.model, short))
        print(columns(rows))
        counts = ", ".join(f"{count} {name}" for name, count in page.counts.items())
        print(
            dim(counts + (". There are more: --limit shows them." if page.more else "."), sys.stderr),
            file=sys.stderr,
        )
        return 0

    _run(context, work)


@app.command()
def show(
    context: typer.Context, job: Annotated[int, typer.Argument(metavar="ID")], json: Json = False
) -> None:
    """A job with its question, and its answer or error; with --json all that came of it."""

    async def work(jobs: LocalJobs, settings: Settings) -> int:
        if json:
            _print_json(await jobs.outcome(job))
        else:
            _print_job(await jobs.get(job))
        return 0

    _run(context, work)


@app.command()
def watch(
    context: typer.Context, job: Annotated[int, typer.Argument(metavar="ID")], json: Json = False
) -> None:
    """Wait for the end of a job and print its answer; with --json a line for each change."""

    async def work(jobs: LocalJobs, settings: Settings) -> int:
        return await _watched(jobs, await jobs.get(job), json)

    _run(context, work)


@app.command()
def cancel(context: typer.Context, jobs: Ids, json: Json = False) -> None:
    """End jobs; those that are over stay as they are."""
    _run(context, lambda kept, settings: _each(jobs, kept.cancel, json))


@app.command()
def retry(context: typer.Context, jobs: Ids, json: Json = False) -> None:
    """Queue jobs that failed or were cancelled once more."""
    _run(context, lambda kept, settings: _each(jobs, kept.retry, json))


@app.command()
def secret() -> None:
    """Print the secret that calls of webhooks are signed with (Standard Webhooks, whsec_…)."""

    def work() -> int:
        from engine import paths, webhook_secret

        print(webhook_secret(paths.resolve().webhook_secret))
        return 0

    raise typer.Exit(guarded(work))


async def _each(ids: list[int], change: Callable[[int], Awaitable[Job]], json: bool) -> int:
    found = [await change(id) for id in ids]
    if json:
        _print_json(found)
    else:
        print("\n".join(f"{job.id} {job.state}" for job in found))
    return 0


def _run(context: typer.Context, work: Callable[[LocalJobs, Settings], Awaitable[int]]) -> None:
    def all_of_it() -> int:
        from engine import LocalConversations, LocalJobs, paths

        settings = context.obj.load().settings
        where = paths.resolve()

        async def there() -> int:
            conversations = LocalConversations(where)
            try:
                return await work(LocalJobs(conversations, lambda: settings, where), settings)
            finally:
                await conversations.close()

        return asyncio.run(there())

    raise typer.Exit(guarded(all_of_it))


async def _watched(jobs: LocalJobs, job: Job, json: bool) -> int:
    """Follow a job to its end; 1 if it did not come to a good one."""
    _tell_if_nobody_works(jobs)
    last = job
    async for update in jobs.watch(job.id):
        last = update.job
        if update.event is None and json:
            _print_json(update.job, line=True)
    if not json:
        _print_outcome(last)
    return 0 if last.state == "done" else 1


def _tell_if_nobody_works(jobs: LocalJobs) -> None:
    if not jobs.attended():
        from cli.terminal_text import dim

        told = "Nothing runs jobs now: they wait until Hearth is opened, or started with `hearth start`."
        print(dim(told, sys.stderr), file=sys.stderr)


def _question(prompt: str | None, input_file: str | None) -> str:
    from engine.errors import InvalidRequest

    if prompt is not None and input_file is not None:
        raise InvalidRequest("The question is given twice.", fix="Give it as a word or as a file.")
    if input_file is not None:
        from pathlib import Path

        from cli.text_files import text_of

        text = text_of(Path(input_file))
    elif prompt is None or prompt == "-":
        text = "" if sys.stdin is None or (prompt is None and sys.stdin.isatty()) else sys.stdin.read()
    else:
        text = prompt
    if not text.strip():
        raise InvalidRequest("There is no question.", fix='As in: hearth jobs submit "What is GGUF?"')
    return text.strip("\n")


def _seconds(said: str | None) -> float | None:
    from engine.errors import InvalidRequest
    from engine.settings import parse_duration

    if said is None:
        return None
    try:
        found = parse_duration(said)
    except ValueError as error:
        raise InvalidRequest(f"--timeout cannot be read: {said!r}.", f"{error}.", "As in: 10m") from None
    if found <= 0:
        raise InvalidRequest("--timeout must be more than 0.")
    return found


def _states(said: list[str]) -> Any:
    from engine.errors import InvalidRequest
    from engine.types import JOB_STATES

    for each in said:
        if each not in JOB_STATES:
            raise InvalidRequest(f"There is no state {each!r}.", f"They are {', '.join(JOB_STATES)}.")
    return tuple(said)


def _print_job(job: Job) -> None:
    from cli.columns import columns

    facts = [("job", f"{job.id} {job.state}"), ("model", job.model), ("client", job.client)]
    facts += [("attempt", f"{job.attempt} of at most {job.attempts}"), ("submitted", _moment(job.created))]
    if job.ended:
        facts.append(("ended", _moment(job.ended)))
    if job.priority:
        facts.append(("priority", f"{job.priority:+}"))
    if job.conversation_id:
        facts.append(("conversation", f"{job.conversation_id} ({job.conversation})"))
    if job.webhook:
        facts.append(
            ("webhook", f"{job.webhook} ({job.webhook_state or 'when it ends'}) {job.webhook_error}")
        )
    print(columns(facts))
    for title, text in (("system", job.system), ("question", job.prompt)):
        if text:
            print(f"\n{title}\n{_for_stdout(text)}")
    if job.over:
        print()
        sys.stdout.flush()
        _print_outcome(job)


def _print_outcome(job: Job) -> None:
    if job.result is not None:
        print(_for_stdout(job.result))
        return
    from cli.terminal_text import paint
    from engine.text_safety import clean

    told = job.error.sentence() if job.error is not None else f"Job {job.id} was cancelled."
    print(paint(clean(told), "31", sys.stderr), file=sys.stderr)


def _for_stdout(text: str) -> str:
    from cli.terminal_text import for_stream

    return for_stream(text, sys.stdout)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _print_json(value: object, *, line: bool = False) -> None:
    import msgspec

    data = msgspec.json.encode(value)
    print((data if line else msgspec.json.format(data)).decode(), flush=True)

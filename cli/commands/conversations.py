"""`hearth conversations list | show | search | export | import | rm`: what was said, from the plain terminal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import guarded

if TYPE_CHECKING:
    from engine import Conversations

app = typer.Typer(
    help="List, read, search, export, import and delete conversations.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Ids = Annotated[
    list[str], typer.Argument(metavar="ID", help="Ids, their beginnings, or last for the newest one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]


@app.command("list")
def list_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONDITION", help="tag:x, in:folder, is:pinned, is:archived."),
    ] = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """The conversations, pinned ones first, then the newest."""
    raise typer.Exit(
        guarded(lambda: _run(context, lambda kept: _list(kept, " ".join(words or ()), limit, json)))
    )


@app.command()
def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="Words, and conditions as of list.")],
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Conversations with these words in title or messages, on every branch."""
    raise typer.Exit(guarded(lambda: _run(context, lambda kept: _list(kept, " ".join(words), limit, json))))


@app.command()
def show(
    context: typer.Context,
    conversation: Annotated[str, typer.Argument(metavar="ID", help="An id, its beginning, or last.")],
    json: Json = False,
) -> None:
    """A conversation as Markdown; with --json the whole tree."""
    raise typer.Exit(guarded(lambda: _run(context, lambda kept: _show(kept, conversation, json))))


@app.command()
def export(
    context: typer.Context,
    conversations: Ids,
    form: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORM", help="markdown, json (everything) or openai."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here instead of to stdout; not over a file."
        ),
    ] = None,
    files: Annotated[bool, typer.Option("--files/--no-files", help="Put pictures in.")] = True,
) -> None:
    """Write conversations to a file."""
    raise typer.Exit(
        guarded(lambda: _run(context, lambda kept: _export(kept, conversations, form, output, files)))
    )


@app.command("import")
def import_(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or folders, or - for stdin.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", metavar="FORM", help="markdown, json or openai; else it is recognised."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Take conversations in: Hearth's JSON, OpenAI messages, Markdown; the histories of ChatGPT, LM Studio and oterm.

    ChatGPT: the ZIP file of an export, or conversations.json. LM Studio: a conversation, or the folder of them. oterm:
    store.db. These are known when they come again: only what is new is added.
    """
    raise typer.Exit(guarded(lambda: _run(context, lambda kept: _import(kept, files, form, json))))


@app.command()
def rm(
    context: typer.Context,
    conversations: Ids,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete conversations for good."""
    raise typer.Exit(guarded(lambda: _run(context, lambda kept: _rm(kept, conversations, yes))))


def _run(context: typer.Context, work: Callable[[Conversations], Awaitable[int]]) -> int:
    from engine import LocalConversations, RemoteEngine, paths

    address = context.obj.address
    # Those of this machine need no engine.
    held = LocalConversations(paths.resolve()) if address is None else RemoteEngine(address)
    kept = held.conversations if isinstance(held, RemoteEngine) else held

    async def there() -> int:
        try:
            status = await work(kept)
            for each in await kept.told():
                print(each, file=sys.stderr)
            return status
        finally:
            await held.close()

    return asyncio.run(there())


async def _list(kept: Conversations, typed: str, limit: int, json: bool) -> int:
    from engine import parse_query
    from engine.types import ConversationQuery

    page = await kept.find(parse_query(typed, ConversationQuery(limit=limit)))
    if json:
        _print_json(page)
        return 0
    from cli.columns import columns
    from cli.terminal_text import dim

    if not page.found:
        print(dim("Nothing fits." if typed else "No conversation is kept yet.", sys.stderr), file=sys.stderr)
        return 0
    rows = [("ID", "UPDATED", "MESSAGES", "MODEL", "TITLE", "")]
    for each in page.found:
        summary = each.summary
        labels = [summary.folder, *(f"#{tag}" for tag in summary.tags)]
        labels += ["pinned"] * summary.pinned + ["archived"] * summary.archived
        note = " ".join(label for label in labels if label)
        if each.hit is not None and each.hit.message:
            note = each.hit.snippet.replace("\x02", "").replace("\x03", "")
        moment = _moment(summary.updated)
        rows.append((summary.id, moment, str(summary.messages), summary.model, summary.title or "-", note))
    print(columns(rows))
    if page.more:
        print(dim("There are more: --limit shows them.", sys.stderr), file=sys.stderr)
    return 0


async def _show(kept: Conversations, conversation: str, json: bool) -> int:
    from cli.terminal_text import for_stream

    id = await _resolved(kept, conversation)
    if json:
        _print_json(await kept.get(id))
        return 0
    made = await kept.export([id], "markdown")
    sys.stdout.write(for_stream(made.data.decode(), sys.stdout))
    return 0


async def _export(
    kept: Conversations, conversations: list[str], form: str | None, output: str | None, files: bool
) -> int:
    from tui.new_file import write_new
    from tui.screens.chat.export_file import form_of

    ids = [await _resolved(kept, each) for each in conversations]
    made = await kept.export(ids, _form(form) or form_of(output or ".md"), files=files)
    if output is None:
        sys.stdout.buffer.write(made.data)
        sys.stdout.buffer.flush()
    else:
        write_new(output, made.data)
        print(f"Written to {output}.", file=sys.stderr)
    return 0


async def _import(kept: Conversations, files: list[str], form: str | None, json: bool) -> int:
    from cli.columns import columns
    from cli.terminal_text import dim
    from engine.text_safety import plain
    from engine.types import ImportReport
    from tui.screens.chat.export_file import path_of
    from tui.telling.imports import told

    wanted = _form(form)
    reports = []
    for name in files:
        if name == "-":
            reports.append(await kept.take_in(sys.stdin.buffer.read(), wanted))
        else:
            path = path_of(name)
            reports.append(await kept.take_in(path, wanted, name=path.stem))
    whole = ImportReport(
        conversations=tuple(each for report in reports for each in report.conversations),
        refused=tuple(each for report in reports for each in report.refused),
    )
    if json:
        _print_json(whole)
    else:
        rows = [
            (each.summary.id, f"{each.added} of {each.summary.messages} messages", each.summary.title or "-")
            for each in whole.conversations
            if each.added
        ]
        if rows:
            print(columns(rows))
        print(dim(told(whole), sys.stderr), file=sys.stderr)
        for refused in whole.refused:
            print(f"Not read: {plain(refused.name, 200)}: {plain(refused.why, 500)}", file=sys.stderr)
    return 1 if whole.refused else 0


async def _rm(kept: Conversations, conversations: list[str], yes: bool) -> int:
    from engine.errors import InvalidRequest
    from engine.text_safety import plain

    ids = [await _resolved(kept, each) for each in conversations]
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise InvalidRequest("Nobody is there to ask.", fix="Say --yes to delete without being asked.")
        titles = [plain((await kept.get(each)).summary.title, 60) or each for each in ids]
        print("\n".join(titles), file=sys.stderr)
        answer = await asyncio.to_thread(input, f"Delete {len(ids)} for good? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return 1
    await kept.delete(ids)
    return 0


async def _resolved(kept: Conversations, said: str) -> str:
    """The id that `said` is, or begins. Raises InvalidRequest, ConversationNotFound."""
    from engine.errors import ConversationNotFound, InvalidRequest
    from engine.types import ConversationQuery

    if said == "last":
        newest = await kept.find(ConversationQuery(archived=None, limit=1000))
        found = sorted(newest.found, key=lambda each: -each.summary.updated)[:1]
        ids = [each.summary.id for each in found]
    else:
        try:
            return (await kept.get(said)).summary.id
        except ConversationNotFound:
            every = await kept.find(ConversationQuery(archived=None, limit=1_000_000))
            ids = [each.summary.id for each in every.found if each.summary.id.startswith(said)]
    if len(ids) > 1:
        raise InvalidRequest(f"{len(ids)} conversations begin with {said!r}.", fix="Write more of the id.")
    if not ids:
        raise ConversationNotFound(
            f"There is no conversation {said!r}.", fix="hearth conversations list shows those there are."
        )
    return ids[0]


def _form(said: str | None) -> Any:
    from engine.errors import InvalidRequest

    if said not in (None, "markdown", "json", "openai"):
        raise InvalidRequest(f"There is no form {said!r}.", fix="Say markdown, json or openai.")
    return said


def _moment(seconds: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value)).decode())

"""What the lists of the Server workspace say, and the detail of each row, as plain data. Knows no widget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.content import Content

from engine.settings import Settings
from engine.text_safety import clean, plain
from engine.types import RunningRequest
from tui import units
from tui.row_list import Column
from tui.screens.server.snippets import Snippet
from tui.waterfall import phases, waterfall

if TYPE_CHECKING:
    from api import Key, LoggedRequest

NAMES = ("requests", "running", "keys", "access", "clients")
TITLES = {
    "requests": "Requests",
    "running": "Running",
    "keys": "Keys",
    "access": "Access",
    "clients": "Clients",
}
COLUMNS: dict[str, tuple[Column, ...]] = {
    "requests": (
        Column("time", 8),
        Column("client", 11),
        Column("dialect", 9, least=60),
        Column("model", 0),
        Column("tokens", 9, right=True, least=58),
        Column("status", 6),
        Column("took", 7, right=True),
    ),
    "running": (
        Column("state", 10),
        Column("client", 12),
        Column("door", 9, least=60),
        Column("model", 0),
        Column("tokens", 11, right=True, least=58),
        Column("waits", 8, right=True),
    ),
    "keys": (
        Column("name", 0),
        Column("may", 16),
        Column("made", 10, least=70),
        Column("ends", 10, least=44),
        Column("state", 9),
    ),
    "access": (Column("what", 8), Column("value", 0), Column("from", 20, least=50)),
    "clients": (Column("client", 22), Column("note", 0)),
}
EMPTY = {
    "requests": "The server is on; nobody has asked yet.\n\nClients, the last list, has what to tell programs.",
    "running": "Nothing runs or waits.",
    "keys": "There are no keys, and programs on this machine need none.\n\nn makes one, for other machines.",
    "access": "No web page may call, and the server goes by localhost alone.\n\no lets an origin in, h a host name.",
    "clients": "",
}


@dataclass(frozen=True, slots=True)
class Known:
    """Everything the lists are made of, as of one moment."""

    lines: Sequence[LoggedRequest] = ()
    """Newest first."""
    running: Sequence[RunningRequest] = ()
    keys: Sequence[Key] = ()
    settings: Settings = field(default_factory=Settings)
    snippets: Sequence[Snippet] = ()
    now_ns: int = 0
    now: float = 0.0


def keys_of(view: str, known: Known) -> list[str]:
    """The key of every row of a list."""
    match view:
        case "requests":
            return [line.id for line in known.lines]
        case "running":
            return [each.id for each in known.running]
        case "keys":
            return [key.id for key in known.keys]
        case "access":
            return [f"{kind} {value}" for kind, value, _ in access(known)]
        case _:
            return [snippet.what for snippet in known.snippets]


def access(known: Known) -> list[tuple[str, str, str]]:
    """Kind, value and source of every host name and web origin: those allowed, then those turned away lately."""
    server = known.settings.server
    found = [("origin", value, "settings") for value in server.allowed_origins]
    found += [("host", value, "settings") for value in server.allowed_hosts]
    there = {(kind, value) for kind, value, _ in found}
    for line in known.lines:
        kind, _, value = line.refused.partition(" ")
        if value and (kind, value) not in there:
            there.add((kind, value))
            found.append((kind, value, "turned away"))
    return found


def cell(view: str, known: Known, place: int, column: str) -> Content:
    """What a column of a row says."""
    match view:
        case "requests":
            return _of_line(known.lines[place], column)
        case "running":
            return _of_running(known.running[place], column)
        case "keys":
            return _of_key(known.keys[place], column, known.now)
        case "access":
            kind, value, source = access(known)[place]
            said = {"what": kind, "value": value, "from": source}[column]
            return Content.styled(plain(said, 120), "$text-warning" if source != "settings" else "")
        case _:
            snippet = known.snippets[place]
            return Content(snippet.what) if column == "client" else Content.styled(snippet.note, "$muted")


def _of_line(line: LoggedRequest, column: str) -> Content:
    match column:
        case "time":
            return Content.styled(time.strftime("%H:%M:%S", time.localtime(line.t_unix)), "$muted")
        case "client":
            return Content(plain(line.client, 40) or "–")
        case "dialect":
            return Content.styled(line.dialect, "$muted")
        case "model":
            return Content(plain(line.model, 80)) if line.model else Content.styled(_call(line), "$muted")
        case "tokens":
            if not line.prompt_tokens and not line.completion_tokens:
                return Content.styled("–", "$muted")
            return Content(f"{units.count(line.prompt_tokens)}→{units.count(line.completion_tokens)}")
        case "status":
            return status(line)
        case _:
            return Content(units.seconds(line.seconds))


def status(line: LoggedRequest) -> Content:
    """Glyph and number; colour never alone."""
    if line.outcome == "cancelled" or line.status == 499:
        return Content.assemble(("○ ", "$muted"), "end")
    if line.status >= 500:
        return Content.assemble(("✗ ", "$error"), str(line.status))
    if line.status >= 400:
        return Content.assemble(("! ", "$warning"), str(line.status))
    if line.outcome and line.outcome not in ("finished", "loaded", "unloaded"):
        return Content.assemble(("✗ ", "$error"), str(line.status))
    return Content.assemble(("✓ ", "$success"), str(line.status or "–"))


def _of_running(each: RunningRequest, column: str) -> Content:
    match column:
        case "state":
            glyph = {"queued": "◌", "loading": "◐", "prefill": "◑", "decode": "◉"}[each.state]
            place = f" {each.position}" if each.state == "queued" and each.position else ""
            return Content.assemble((f"{glyph} ", "$state-busy"), each.state + place)
        case "client":
            return Content(plain(each.client, 40) or "–")
        case "door":
            return Content.styled(each.source or "–", "$muted")
        case "model":
            return Content(plain(each.model, 80))
        case "tokens":
            return Content(f"{units.count(each.prompt_tokens)}→{units.count(each.completion_tokens)}")
        case _:
            return Content("–" if each.eta_s is None else units.wait(each.eta_s))


def _of_key(key: Key, column: str, now: float) -> Content:
    usable = key.usable(now)
    tone = "" if usable else "$muted"
    match column:
        case "name":
            return Content.styled(plain(key.name, 60), tone)
        case "may":
            return Content.styled(", ".join(key.scopes), tone)
        case "made":
            return Content.styled(_day(key.created), "$muted")
        case "ends":
            return Content.styled(_day(key.expires) if key.expires else "never", "$muted")
        case _:
            word = "revoked" if key.revoked else "usable" if usable else "expired"
            return Content.styled(f"{'●' if usable else '○'} {word}", "$success" if usable else "$muted")


def detail(view: str, known: Known, place: int, width: int) -> list[Content]:
    """Everything about a row, for the panel beside the list."""
    match view:
        case "requests":
            return _line_detail(known.lines[place], width)
        case "running":
            each = known.running[place]
            return _table(
                {
                    "model": each.model,
                    "client": each.client,
                    "through": each.source,
                    "class": each.priority,
                    "state": each.state,
                    "runs for": units.seconds(max(0, known.now_ns - each.submitted_ns) / 1e9)
                    if each.submitted_ns
                    else "",
                    "prompt": f"{each.prompt_tokens:,} tokens, {each.cached_tokens:,} from the cache",
                    "answer": f"{each.completion_tokens:,} tokens",
                    "id": each.id,
                },
                "x cancels it.",
            )
        case "keys":
            key = known.keys[place]
            limits = [f"{key.per_minute} a minute"] if key.per_minute else []
            limits += [f"{key.concurrent} at once"] if key.concurrent else []
            return _table(
                {
                    "name": key.name,
                    "id": key.id,
                    "may": ", ".join(key.scopes),
                    "made": _day(key.created),
                    "ends": _day(key.expires) if key.expires else "never",
                    "limits": ", ".join(limits) or "none",
                },
                "x revokes it; what it runs ends." if not key.revoked else "It is revoked.",
            )
        case "access":
            kind, value, source = access(known)[place]
            meaning = {
                "origin": "Web pages of this origin may ask models; they may not change anything.",
                "host": "Requests may be addressed to this name, beside localhost.",
            }[kind]
            allowed = source == "settings"
            then = "x takes it back." if allowed else f"It was turned away. {kind[0]} and enter let it in."
            return [Content.styled(plain(value, 200), "bold"), Content(""), Content(meaning), Content(then)]
        case _:
            snippet = known.snippets[place]
            return [
                Content.styled(snippet.what, "bold $primary"),
                Content.styled(snippet.note, "$muted"),
                Content(""),
                *(Content(line) for line in snippet.text.split("\n")),
                Content(""),
                Content.styled("y copies it.", "$muted"),
            ]


def _line_detail(line: LoggedRequest, width: int) -> list[Content]:
    rate = line.rate
    computed = max(0, line.prompt_tokens - line.cached_tokens)
    outcome = line.outcome or ("" if line.status < 400 else "refused")
    found = [Content.assemble((_call(line), "bold"), "  ", status(line), f" {outcome}")]
    if line.outcome:
        parts = phases(
            queue=line.queue_s,
            load=line.load_s,
            prefill=line.prefill_s,
            decode=line.decode_s,
            total=line.seconds,
        )
        found += [_heading(f"Time, {units.seconds(line.seconds)} in all", width), *waterfall(parts, width)]
    found += [Content("")]
    found += _table(
        {
            "took": "" if line.outcome else units.seconds(line.seconds),
            "client": line.client,
            "model": line.model,
            "prompt": f"{line.prompt_tokens:,} tokens, {computed:,} computed" if line.prompt_tokens else "",
            "answer": f"{line.completion_tokens:,} tokens" + (f", {rate:.0f} a second" if rate else "")
            if line.completion_tokens
            else "",
            "ignored": ", ".join(line.ignored),
            "refused": line.refused,
            "id": line.id,
        }
    )
    if line.options:
        found += [Content(""), _heading("Options", width)]
        found += _table(line.options, wide=True)
    if line.prompt:
        found += [Content(""), _heading("Prompt", width)]
        found += [Content(text) for text in clean(line.prompt).split("\n")]
    return found


def _heading(text: str, width: int) -> Content:
    rule = "─" * max(1, width - len(text) - 1)
    return Content.assemble((text, "bold $primary"), " ", (rule, "$line"))


def _table(values: Mapping[str, str], remark: str = "", *, wide: bool = False) -> list[Content]:
    label = max((len(name) for name in values), default=0) + 2 if wide else 10
    found = [
        Content.assemble((f"{name:<{label}}", "$muted"), plain(value, 400))
        for name, value in values.items()
        if value
    ]
    return [*found, Content(""), Content.styled(remark, "$muted")] if remark else found


def _call(line: LoggedRequest) -> str:
    return f"{line.method} {plain(line.path, 80)}"


def _day(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds)) if seconds else "–"

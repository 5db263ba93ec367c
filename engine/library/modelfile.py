"""Ollama's Modelfile, read into an alias and written from one.

    FROM llama3.2                       a name or a path
    PARAMETER temperature 0.3           one value; `stop` may come several times
    SYSTEM \"\"\"You are brief.\"\"\"         also TEMPLATE, LICENSE, ADAPTER, MESSAGE role text
    # hearth: {"overflow":"shift"}      what an alias says and a Modelfile has no word for

Words do not mind case. A value stands bare to the end of its line, in `"…"` or in three of them, both over several
lines if need be; nothing inside is escaped. Comments begin a line. Grammar and parameters:
https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.library.aliases import check_alias
from engine.text_safety import plain
from engine.types import AdapterRef, Alias, LoadOptions, Message

LONGEST: Final = 8 * 1024 * 1024
"""Characters of a whole file."""
OWN: Final = "# hearth:"
SAMPLING: Final = {
    "temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical_p": "typical_p",
    "repeat_penalty": "repetition_penalty", "repeat_last_n": "repeat_last_n", "seed": "seed",
    "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau", "mirostat_eta": "mirostat_eta",
}  # fmt: skip
_LOADING: Final = {
    "num_ctx": "context", "num_batch": "batch", "num_gpu": "gpu_layers", "num_thread": "threads",
    "use_mmap": "use_mmap", "draft_num_predict": "draft_tokens",
}  # fmt: skip
_WITHOUT: Final = {
    "num_keep": "a request says it",
    "main_gpu": "Hearth places layers by itself",
    "low_vram": "Hearth places layers by itself",
    "num_gqa": "the model file says it",
    "f16_kv": "see the option kv_type",
    "penalize_newline": "newlines are penalised like other tokens",
    "numa": "there is nothing like it",
    "use_mlock": "there is nothing like it",
    "logits_all": "there is nothing like it",
    "vocab_only": "there is nothing like it",
    "embedding_only": "there is nothing like it",
    "tfs_z": "there is nothing like it",
}
_SWITCHES: Final = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
_INSIDE: Final = frozenset({"renderer", "parser", "requires", "draft"})
"""Words that name parts of Ollama."""
_WORDS: Final = frozenset(
    {"from", "parameter", "template", "system", "adapter", "license", "message", *_INSIDE}
)
_ROLES: Final = ("system", "user", "assistant")


class Read(Struct, frozen=True, kw_only=True):
    """A Modelfile as an alias; `remarks` says what of it was left out, a sentence each."""

    alias: Alias
    remarks: tuple[str, ...] = ()


class _Command(Struct, frozen=True):
    line: int
    word: str
    value: str


def read(text: str, folder: Path | None = None) -> Read:
    """The alias that a Modelfile describes. Relative paths in it start in `folder`, the current one if None.

    Raises InvalidRequest naming the line that cannot be read, or the value that cannot be used.
    """
    if len(text) > LONGEST:
        raise InvalidRequest("The Modelfile is too long.", f"It may have {LONGEST} characters.", param="file")
    reader = _Reader(Path.cwd() if folder is None else folder)
    for command in _commands(text):
        reader.take(command)
    return Read(alias=reader.alias(), remarks=tuple(reader.remarks))


def written(alias: Alias, name: str = "") -> str:
    """`alias` as a Modelfile, from which `read` makes the same alias again."""
    lines = ["# Modelfile written by Hearth" + (f" for {plain(name, 120)}" if name else "")]
    plain_alias = Alias(model=alias.model)
    own: dict[str, Any] = {}
    lines += _line("FROM", alias.model, own, "model", alias.model)
    if _is_path(alias.model) and not _is_place(alias.model):
        # Where a path begins is another matter wherever the file is read.
        own["model"] = alias.model
    for field, word in (("licence", "LICENSE"), ("template", "TEMPLATE"), ("system", "SYSTEM")):
        value = getattr(alias, field)
        if value != getattr(plain_alias, field):
            lines += _line(word, value, own, field, value)
    lines += _parameters(alias, own)
    if alias.adapters is not None:
        paths = [f"ADAPTER {_quoted(each.name)}" for each in alias.adapters]
        if alias.adapters and all(
            each.scale == 1 and _is_place(each.name) and _reads_back(each.name) for each in alias.adapters
        ):
            lines += paths
        else:
            own["adapters"] = alias.adapters
    if alias.messages:
        said = [f"MESSAGE {each.role} {_quoted(each.text)}" for each in alias.messages]
        if all(_is_plain(each) for each in alias.messages):
            lines += said
        else:
            own["messages"] = alias.messages
    for field in (
        "description",
        "prompt",
        "json_mode",
        "thinking",
        "overflow",
        "backend",
        "keep_alive",
        "image_max_side",
    ):
        value = getattr(alias, field)
        if value != getattr(plain_alias, field):
            own[field] = value
    if own:
        lines.append(f"{OWN} {msgspec.json.encode(own).decode()}")
    return "\n".join(lines) + "\n"


def with_text(alias: Alias, text: str) -> Alias:
    """`alias` with the text of its named prompt in its place: elsewhere nobody knows the name."""
    return replace(alias, system=text, prompt=None)


# --- writing


def _parameters(alias: Alias, own: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    theirs = {ours: word for word, ours in SAMPLING.items()}
    rest: dict[str, Any] = {}
    for name, value in alias.sampling.items():
        if name in theirs and type(value) in (int, float) and math.isfinite(value):
            lines.append(f"PARAMETER {theirs[name]} {value!r}")
        else:
            rest[name] = value
    if rest:
        own["sampling"] = rest
    load, plain_load = alias.load, LoadOptions()
    if load is not None:
        said = {
            name: getattr(load, name)
            for name in LoadOptions.__struct_fields__
            if getattr(load, name) != getattr(plain_load, name)
        }
        for word, name in _LOADING.items():
            if name in said:
                value = said.pop(name)
                shown = str(value).lower() if isinstance(value, bool) else value
                lines.append(f"PARAMETER {word} {shown}")
        if said or load == plain_load:
            own["load"] = said
    if alias.max_tokens is not None:
        lines.append(f"PARAMETER num_predict {alias.max_tokens}")
    if all(_reads_back(stop) for stop in alias.stop):
        lines += [f"PARAMETER stop {_quoted(stop, always=True)}" for stop in alias.stop]
    else:
        own["stop"] = alias.stop
    return lines


def _line(word: str, value: str, own: dict[str, Any], field: str, full: Any) -> list[str]:
    """The line for a value; one that no line can hold goes to `own` instead."""
    if _reads_back(value) and not (word == "TEMPLATE" and not _is_jinja(value)):
        return [f"{word} {_quoted(value)}"]
    own[field] = full
    return []


def _quoted(text: str, *, always: bool = False) -> str:
    if not always and text and "\n" not in text and text == text.strip() and not text.startswith('"'):
        return text
    if '"' not in text and "\n" not in text:
        return f'"{text}"'
    return f'"""{text}"""'


def _reads_back(text: str) -> bool:
    try:
        found = [command.value for command in _commands(f"SYSTEM {_quoted(text, always=True)}\nFROM x\n")]
        bare = [command.value for command in _commands(f"SYSTEM {_quoted(text)}\nFROM x\n")]
    except InvalidRequest:
        return False
    return found == bare == [text, "x"]


def _is_plain(message: Message) -> bool:
    said = Message(role=message.role, content=message.content)
    return (
        said == message
        and message.role in _ROLES
        and isinstance(message.content, str)
        and _reads_back(message.content)
    )


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or text.lower().endswith(".gguf") or text in (".", "..")


def _is_place(text: str) -> bool:
    """Whether a path means the same wherever it is read."""
    return os.path.isabs(text) and os.path.normpath(text) == text


# --- reading


def _commands(text: str) -> Iterator[_Command]:
    """The commands of a Modelfile, and the lines of our own as the word `hearth`. Raises InvalidRequest."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    place = 0
    while place < len(lines):
        number = place + 1
        line = lines[place]
        place += 1
        begun = line.strip()
        if begun.lower().startswith(OWN):
            yield _Command(number, "hearth", begun[len(OWN) :].strip())
            continue
        if not begun or begun.startswith("#"):
            continue
        word = begun.split(None, 1)[0].lower()
        if word not in _WORDS:
            raise _wrong(
                number, f"{plain(word, 40)!r} is no word of a Modelfile", "Known: " + _known(_WORDS).upper()
            )
        # What stands behind the word, white space at the end included: it may be inside quotes.
        value = line.lstrip()[len(word) :].lstrip()
        head = ""
        if word in ("parameter", "message"):
            head, _, value = _apart(value)
            if not head:
                raise _wrong(number, f"{word.upper()} says nothing", "")
            head += " "
        while (found := _unquoted(value)) is None:
            if place == len(lines):
                raise _wrong(number, f"The quotes behind {word.upper()} are not closed", "")
            value += "\n" + lines[place]
            place += 1
        yield _Command(number, word, head + found)


def _apart(text: str) -> tuple[str, str, str]:
    """The first word of `text`, the white space behind it, the rest."""
    for place, letter in enumerate(text):
        if letter.isspace():
            rest = text[place:].lstrip()
            return text[:place], " ", rest
    return text, "", ""


def _unquoted(text: str) -> str | None:
    """A value without its quotes; None if they are not closed yet."""
    ended = text.rstrip()
    for mark in ('"""', '"'):
        if ended.startswith(mark):
            if len(ended) >= 2 * len(mark) and ended.endswith(mark):
                return ended[len(mark) : -len(mark)]
            return None
    return ended


class _Reader:
    """Takes the commands of a Modelfile one by one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.remarks: list[str] = []
        self._fields: dict[str, Any] = {}
        self._sampling: dict[str, Any] = {}
        self._load: dict[str, Any] = {}
        self._stop: list[str] = []
        self._messages: list[Message] = []
        self._adapters: list[AdapterRef] = []
        self._licences: list[str] = []
        self._own: dict[str, Any] = {}

    def take(self, command: _Command) -> None:
        """Raises InvalidRequest naming the line."""
        match command.word:
            case "from":
                if "model" in self._fields:
                    self.remarks.append(
                        f"Line {command.line}: a further FROM is left out; a projector is found beside its model."
                    )
                    return
                self._fields["model"] = self._path(command.value)
            case "parameter":
                self._parameter(command)
            case "system":
                self._fields["system"] = command.value
            case "template":
                self._template(command)
            case "message":
                self._message(command)
            case "adapter":
                self._adapters.append(AdapterRef(self._path(command.value, adapter=True)))
            case "license":
                self._licences.append(command.value)
            case "hearth":
                self._ours(command)
            case word:
                self.remarks.append(
                    f"Line {command.line}: {word.upper()} is left out: it names a part of Ollama."
                )

    def alias(self) -> Alias:
        """What was read. Raises InvalidRequest."""
        fields = dict(self._fields)
        if self._sampling or "sampling" in self._own:
            fields["sampling"] = {**self._sampling, **_table(self._own.pop("sampling", {}))}
        if self._load or "load" in self._own:
            fields["load"] = {**self._load, **_table(self._own.pop("load", {}))}
        for name, values in (
            ("stop", self._stop), ("messages", self._messages), ("adapters", self._adapters),
        ):  # fmt: skip
            if values:
                fields[name] = msgspec.to_builtins(values)
        if self._licences:
            fields["licence"] = "\n\n".join(self._licences)
        fields |= self._own
        if "model" not in fields:
            raise InvalidRequest(
                "The Modelfile names no model.", "It has no line FROM.", "Add one.", param="file"
            )
        try:
            alias = msgspec.convert(fields, Alias)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                "The Modelfile holds a value that cannot be used.", f"{error}.", param="file"
            ) from None
        check_alias(alias)
        return alias

    def _path(self, value: str, *, adapter: bool = False) -> str:
        """A path made absolute; a name as it is."""
        if not _is_path(value) and not (
            adapter and "\0" not in value and os.path.exists(self._folder / value)
        ):
            return value
        return os.path.normpath(self._folder / os.path.expanduser(value))

    def _parameter(self, command: _Command) -> None:
        name, _, value = command.value.partition(" ")
        name = name.lower()
        if name == "stop":
            self._stop.append(value)
        elif name == "num_predict":
            number = _read_number(command, name, value, whole=True)
            # Ollama: -1 goes on without end, -2 fills the window, which is what happens here without a number.
            if number > 0:
                self._fields["max_tokens"] = number
        elif name in SAMPLING:
            self._sampling[SAMPLING[name]] = _read_number(command, name, value)
        elif name == "use_mmap":
            if value.lower() not in _SWITCHES:
                raise _wrong(command.line, f"{name} cannot be {plain(value, 40)!r}", "It is true or false.")
            self._load["use_mmap"] = _SWITCHES[value.lower()]
        elif name in _LOADING:
            self._load[_LOADING[name]] = _read_number(command, name, value, whole=True)
        elif name in _WITHOUT:
            self.remarks.append(f"Line {command.line}: {name} is left out: {_WITHOUT[name]}.")
        else:
            known = _known({"stop", "num_predict", *SAMPLING, *_LOADING, *_WITHOUT})
            raise _wrong(command.line, f"There is no parameter {plain(name, 40)!r}", f"Known: {known}.")

    def _template(self, command: _Command) -> None:
        if _is_jinja(command.value):
            self._fields["template"] = command.value
            return
        self.remarks.append(
            f"Line {command.line}: TEMPLATE is left out: it is in the language of Go, which Hearth does not run. The "
            "model's own template holds."
        )

    def _message(self, command: _Command) -> None:
        role, _, text = command.value.partition(" ")
        if role.lower() not in _ROLES:
            raise _wrong(command.line, f"{plain(role, 40)!r} is no role", f"Known: {', '.join(_ROLES)}.")
        self._messages.append(Message(role=role.lower(), content=text))  # type: ignore[arg-type]

    def _ours(self, command: _Command) -> None:
        try:
            said = msgspec.json.decode(command.value, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _wrong(
                command.line, "What stands behind `hearth:` is no JSON object", f"{error}."
            ) from None
        self._own |= said


def _is_jinja(text: str) -> bool:
    """Whether a template is one that Hearth can run: in Jinja, of messages. Those of Go are none."""
    from jinja2 import Environment
    from jinja2.exceptions import TemplateError
    from jinja2.meta import find_undeclared_variables

    try:
        return "messages" in find_undeclared_variables(Environment().parse(text))
    except (TemplateError, RecursionError, ValueError):
        return False


def _read_number(command: _Command, name: str, value: str, *, whole: bool = False) -> Any:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (whole and number != int(number)):
        raise _wrong(
            command.line,
            f"{name} cannot be {plain(value, 40)!r}",
            f"It must be a {'whole ' if whole else ''}number.",
        )
    return int(number) if whole else number


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _known(words: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _wrong(line: int, what: str, why: str) -> HearthError:
    return InvalidRequest(f"{what} (line {line} of the Modelfile).", why, "Mend that line.", param="file")

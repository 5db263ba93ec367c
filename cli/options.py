"""The one table of generation options: `hearth chat` takes them as flags, `/set` by name, the docs list them.

A new option is a new row; nothing else knows their names. What is not said stays absent from the request, so
that the model's own values and the settings fill it in. What a row's text means is read in
`cli.option_values`, flags are made of rows in `cli.flags`; `python -m cli.options` prints the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli import option_values as read

if TYPE_CHECKING:
    from engine.errors import InvalidRequest

Values = Mapping[str, tuple[str, ...]]
"""What was said: texts by option name, in order; more than one only where the option may be repeated."""

ANSWER, FORM, SAMPLING, LOADING = "Answer", "Thinking, form and tools", "Sampling", "Loading"
"""The panels of `--help`."""


@dataclass(frozen=True)
class Option:
    """A row. `field` is where the value goes in a GenerationRequest: a field, `sampling.x` or `load.x`."""

    name: str
    metavar: str
    """Empty for a switch, which takes no value as a flag and on or off in `/set`."""
    field: str
    read: Callable[[str], Any]
    """From text to value; ValueError or InvalidRequest with a sentence when it cannot."""
    help: str
    panel: str = ANSWER
    many: bool = False
    gather: Callable[[tuple[Any, ...]], Any] = tuple
    """From the values of an option that was given several times to the one value of the field."""
    negative: bool = False
    """Whether a switch has a `--no-` form."""
    also: str = ""
    """Another name that people know; taken, and not shown."""

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        return not self.metavar

    @property
    def usage(self) -> str:
        """The flag as the docs show it."""
        shown = f"{self.flag} / --no-{self.flag[2:]}" if self.negative else self.flag
        return shown if self.is_switch else f"{shown} {self.metavar}"


OPTIONS: tuple[Option, ...] = (
    Option("system", "TEXT", "system", str, "System prompt: who the model is and how it answers."),
    Option(
        "max_new_tokens",
        "N",
        "max_tokens",
        read.whole,
        "Stop after this many new tokens. Default: until the window is full.",
        also="max_tokens",
    ),
    Option("stop", "TEXT", "stop", read.stop, "Stop before this text; may be given many times.", many=True),
    Option(
        "adapter",
        "NAME[=SCALE]",
        "adapters",
        read.adapter,
        "LoRA adapter, by name or path, and its scale; may be given many times; base for none.",
        many=True,
        gather=read.adapters,
    ),
    Option(
        "image_max_side",
        "N",
        "image_max_side",
        read.whole,
        "Pixels that the longest side of an image is brought down to, at most `media.max_side`.",
    ),
    Option(
        "overflow",
        "WAY",
        "overflow",
        str,
        "What happens to a text longer than the window: drop_oldest, refuse or shift.",
    ),
    Option(
        "cache",
        "",
        "cache",
        read.cache,
        "Take what was computed before from the prefix cache, and keep what is computed now.",
        negative=True,
    ),
    Option(
        "logprobs",
        "N",
        "logprobs.top",
        read.whole,
        "Write each token's log-probability and N alternatives to stderr.",
    ),
    Option(
        "think",
        "on|off|auto",
        "thinking.enabled",
        read.think,
        "Whether the model thinks before it answers; auto leaves it to the model.",
        FORM,
    ),
    Option(
        "effort",
        "LEVEL",
        "thinking.effort",
        str,
        "How much it thinks: none, minimal, low, medium, high, xhigh or max.",
        FORM,
    ),
    Option("think_budget", "N", "thinking.budget", read.whole, "Most tokens of thinking.", FORM),
    Option("hide_thinking", "", "thinking.visible", read.hidden, "Do not show what it thinks.", FORM),
    Option(
        "json",
        "",
        "constraint",
        read.json_mode,
        "The answer is a JSON object; or free text where an alias asks for JSON.",
        FORM,
        negative=True,
        also="json_mode",
    ),
    Option(
        "schema",
        "FILE",
        "constraint",
        read.schema,
        "The answer follows the JSON Schema in this file; the schema itself may be given too.",
        FORM,
    ),
    Option("regex", "PATTERN", "constraint", read.regex, "The answer matches this as a whole.", FORM),
    Option(
        "choice",
        "TEXT",
        "constraint",
        str,
        "The answer is this text, or another one given so; given many times.",
        FORM,
        many=True,
        gather=read.choices,
    ),
    Option(
        "grammar",
        "FILE",
        "constraint",
        read.grammar,
        "The answer follows the grammar (GBNF) in this file.",
        FORM,
    ),
    Option(
        "tools",
        "FILE",
        "tools",
        read.tools,
        "Tools that may be called: a JSON file of functions as OpenAI writes them. Hearth runs none of them.",
        FORM,
    ),
    Option(
        "tool_choice",
        "WAY",
        "tool_choice",
        read.tool_choice,
        "auto, none, required, or the names of the tools to call with commas between.",
        FORM,
    ),
    Option(
        "temperature",
        "X",
        "sampling.temperature",
        read.number,
        "How boldly tokens are drawn, 0 to 5; 0 is greedy.",
        SAMPLING,
    ),
    Option(
        "top_p",
        "X",
        "sampling.top_p",
        read.number,
        "Draw among the likeliest tokens that together reach this; 1 is off.",
        SAMPLING,
    ),
    Option(
        "top_k",
        "N",
        "sampling.top_k",
        read.whole,
        "Draw among this many likeliest tokens; 0 is off.",
        SAMPLING,
    ),
    Option(
        "min_p",
        "X",
        "sampling.min_p",
        read.number,
        "Drop tokens below this share of the likeliest one; 0 is off.",
        SAMPLING,
    ),
    Option(
        "repetition_penalty",
        "X",
        "sampling.repetition_penalty",
        read.number,
        "Make used tokens less likely; 1 is off.",
        SAMPLING,
    ),
    Option(
        "presence_penalty",
        "X",
        "sampling.presence_penalty",
        read.number,
        "Taken once from the logit of each used token, -2 to 2; 0 is off.",
        SAMPLING,
    ),
    Option(
        "frequency_penalty",
        "X",
        "sampling.frequency_penalty",
        read.number,
        "Taken from a token's logit for each use, -2 to 2; 0 is off.",
        SAMPLING,
    ),
    Option(
        "seed",
        "N",
        "sampling.seed",
        read.whole,
        "Seed of the draw; -1 draws a fresh one each time.",
        SAMPLING,
    ),
    Option(
        "sampling",
        "NAME=VALUE",
        "sampling",
        read.sampling,
        "Any other sampling value, by its name under generation.sampling in the settings; may be given many times.",
        SAMPLING,
        many=True,
        gather=dict,
    ),
    Option(
        "ctx",
        "N",
        "load.context",
        read.whole,
        "Context window in tokens; the model is loaded with it.",
        LOADING,
        also="context",
    ),
    Option("slots", "N", "load.slots", read.whole, "How many answers are written at once.", LOADING),
    Option(
        "device",
        "NAME",
        "load.device",
        str,
        "What computes it: auto, cpu, gpu, cuda:1, mps or metal; several with commas between.",
        LOADING,
    ),
    Option(
        "split",
        "PARTS",
        "load.split",
        str,
        "What each device takes of the layers: shares (3,1), or memory (10GB,24GB).",
        LOADING,
    ),
    Option(
        "gpu_layers", "N", "load.gpu_layers", read.whole, "Layers that go to the GPU; -1 for all.", LOADING
    ),
    Option(
        "kv_type",
        "TYPE",
        "load.kv_type",
        str,
        "Numbers of the KV cache: f16, q8_0 and others; smaller ones take less memory.",
        LOADING,
    ),
    Option("load_in_8bit", "", "load.load_in_8bit", read.switch, "Quantise the weights to 8 bits.", LOADING),
    Option("load_in_4bit", "", "load.load_in_4bit", read.switch, "Quantise the weights to 4 bits.", LOADING),
    Option(
        "draft_model",
        "NAME",
        "load.draft_model",
        str,
        "Small model of the same vocabulary that guesses ahead for this one, by name or path.",
        LOADING,
    ),
    Option(
        "draft_tokens",
        "N",
        "load.draft_tokens",
        read.whole,
        "Most tokens guessed ahead, from the text so far or by the draft model; 0 is off.",
        LOADING,
    ),
    Option(
        "keep_alive",
        "TIME",
        "keep_alive",
        read.duration,
        "How long the model stays loaded afterwards: 30s, 5m, 1h, 0 (not at all), -1 (for ever).",
        LOADING,
    ),
    Option(
        "backend",
        "NAME",
        "backend",
        str,
        "What runs the model: auto, llama, mlx, transformers or scripted.",
        LOADING,
    ),
)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
NOT_OF_AN_ALIAS = (
    "cache",
    "logprobs",
    "json",
    "schema",
    "regex",
    "choice",
    "grammar",
    "tools",
    "tool_choice",
)
OF_AN_ALIAS: tuple[Option, ...] = tuple(option for option in OPTIONS if option.name not in NOT_OF_AN_ALIAS)
"""What an alias can say, its form apart."""
OF_A_LOAD: tuple[Option, ...] = tuple(option for option in OPTIONS if option.field.startswith("load."))
"""What must be decided when a model is loaded."""


def canonical(name: str) -> str:
    """The name in the table of what may also be called otherwise."""
    name = name.replace("-", "_")
    return next((option.name for option in OPTIONS if option.also == name), name)


def request_fields(values: Values) -> dict[str, Any]:
    """What was said, as keyword arguments of a GenerationRequest, checked against its bounds.

    Raises InvalidRequest naming the flag of the first value that cannot be used. Reads the files that are named.
    """
    import msgspec

    from engine.errors import InvalidRequest
    from engine.sampling import resolve
    from engine.types import GenerationRequest

    fields: dict[str, Any] = {}
    form: Option | None = None
    for name, texts in values.items():
        option = BY_NAME[name]
        value = _read(option, texts)
        if option.field == "constraint":
            if value is None:
                continue
            if value.kind == "text":
                fields.setdefault("constraint", value)
                continue
            if form is not None:
                raise _both(form, option)
            form = option
        room, _, key = option.field.rpartition(".")
        if option.field == "sampling":
            fields.setdefault("sampling", {}).update(value)
        else:
            (fields.setdefault(room, {}) if room else fields)[key] = value
    try:
        checked = msgspec.convert({"model": "", **fields}, GenerationRequest, from_attributes=True)
        resolve(checked.sampling)
    except msgspec.ValidationError as error:
        path = str(error).rpartition("$.")[2].rstrip("`").split("[")[0]
        raise _wrong(_of_field(path, values), values, str(error).partition(" - at")[0] + ".") from None
    except InvalidRequest as error:
        raise _wrong(_of_field(f"sampling.{error.param}", values), values, error.why or error.what) from None
    return {name: getattr(checked, name) for name in fields}


def _read(option: Option, texts: tuple[str, ...]) -> Any:
    from engine.errors import InvalidRequest

    try:
        found = tuple(option.read(text) for text in texts)
        return option.gather(found) if option.many else found[-1]
    except InvalidRequest as error:
        why = " ".join(part for part in (error.what, error.why) if part)
        raise _wrong(option, {option.name: texts}, why) from None
    except ValueError as error:
        raise _wrong(option, {option.name: texts}, str(error)) from None


def _wrong(option: Option, values: Values, why: str) -> InvalidRequest:
    from engine.errors import InvalidRequest

    said = " ".join(repr(text) for text in values[option.name])
    return InvalidRequest(
        f"{option.flag} cannot be {said}.", why, f"{option.usage}: {option.help}", param=option.name
    )


def _both(one: Option, other: Option) -> InvalidRequest:
    from engine.errors import InvalidRequest

    return InvalidRequest(
        f"{one.flag} and {other.flag} cannot both hold.",
        "An answer follows one form.",
        f"Leave one of them out; in a chat: /set {one.name} default.",
        param=other.name,
    )


def _of_field(field: str, values: Values) -> Option:
    """The option by which a field of the request was said: its own, or that of all sampling values."""
    own = (option for option in OPTIONS if option.field == field and option.name in values)
    return next(own, BY_NAME["sampling"])


def docs() -> str:
    """The page `docs/options.md`."""
    return "\n".join(
        [
            "# Generation options",
            "",
            "`hearth chat` and its synonym `hearth run` take these flags; `/set NAME VALUE` in a chat takes",
            "them by the name in the second column (a switch is `on` or `off` there). What is not said comes from",
            "the model's own values, then the settings, then Hearth's defaults. `hearth estimate`",
            f"takes {', '.join(f'`{option.flag}`' for option in OF_A_LOAD)}.",
            f"`hearth create` takes all but {', '.join(f'`{BY_NAME[name].flag}`' for name in NOT_OF_AN_ALIAS)}.",
            "Written from `cli/options.py` by `python -m cli.options > docs/options.md`.",
            "",
            *(line for panel in (ANSWER, FORM, SAMPLING, LOADING) for line in _table(panel)),
            *PIPES,
        ]
    )


PIPES = (
    "## What goes where",
    "",
    "stdout gets the answer and nothing else. In a pipe it is the model's text as it stands; each tool call follows",
    "the text on a line of its own, once it is complete, as one JSON object:",
    "",
    "```",
    '{"tool_call":{"id":"call_1","name":"weather","arguments":{"city":"Quito"}}}',
    "```",
    "",
    "`arguments` is the JSON that the model wrote, or a string where that is no JSON. On a terminal a call is shown",
    "with its name and its arguments in lines. Hearth runs no tool; in a conversation `/result TEXT` answers the",
    "first call that waits, and the model goes on from the last answer.",
    "",
    "stderr gets progress, thinking and figures where a person looks, and always what was cut: messages that found",
    "no room in the window, tokens that were forgotten so that an answer could go on, a window smaller than asked,",
    "an answer that ended because the window was full.",
    "",
)


def _table(panel: str) -> list[str]:
    return [
        f"## {panel}",
        "",
        "| Flag | `/set` | Meaning |",
        "| --- | --- | --- |",
        *_rows(option for option in OPTIONS if option.panel == panel),
        "",
    ]


def _rows(options: Iterable[Option]) -> list[str]:
    return [
        f"| `{option.usage}` | `{option.name}` | {option.help} |".replace("on|off|auto", "on\\|off\\|auto")
        for option in options
    ]


if __name__ == "__main__":
    print(docs(), end="")

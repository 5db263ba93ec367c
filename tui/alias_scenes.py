"""The Aliases workspace in every state worth a picture: form, typing, wrong, tried, conflict, broken, hostile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from textual.pilot import Pilot

from engine.errors import StorageFailed
from engine.types import Alias, LoadOptions, NamedAlias, NamedPrompt, PromptVersion, Thinking
from tui.app import HearthApp
from tui.chat_scenes import Drive
from tui.recorded import RecordedEngine

Happens = Callable[[RecordedEngine], None]
BROKEN = "line 41, column 22: Expected `float` <= 1.0 - at `$.sampling.top_p`."


def named() -> list[NamedAlias]:
    """Aliases of a machine that is used much."""
    return [
        NamedAlias(
            name="bard",
            alias=Alias(
                model="ember",
                description="Answers in verse",
                system="You are a bard. Answer in verse, in four lines, and never explain yourself.",
                sampling={"temperature": 1.2, "min_p": 0.05},
                stop=("\n\n\n", "THE END"),
                max_tokens=400,
                load=LoadOptions(context=1024),
            ),
        ),
        NamedAlias(
            name="extract",
            alias=Alias(
                model="qwen3-8b-instruct", prompt="extractor", json_mode=True, sampling={"temperature": 0}
            ),
        ),
        NamedAlias(
            name="coder",
            alias=Alias(
                model="mistral-small-3.2-24b",
                prompt="engineer@2",
                thinking=Thinking(enabled=True, budget=2048),
                keep_alive=-1,
                load=LoadOptions(context=32768, kv_type="q8_0"),
            ),
        ),
        NamedAlias(name="old-one", broken=BROKEN),
        NamedAlias(
            name="reviewer-for-very-long-pull-requests-in-three-languages/strict.v2:latest-and-greatest",
            alias=Alias(model="smollm3-3b", description="Reads a diff and says what is wrong with it"),
        ),
    ]


def said() -> list[NamedPrompt]:
    """Named prompts, one with a history."""
    return [
        NamedPrompt(
            name="engineer",
            versions=(
                PromptVersion(text="You are an engineer.", created=1.7566e9),
                PromptVersion(text="You are a careful engineer. Say what you do not know.", created=1.7601e9),
                PromptVersion(
                    text="You are a careful engineer.\n\n- Say what you do not know.\n- Prefer the smallest change.\n"
                    "- Name the file and the line.",
                    created=1.7622e9,
                    note="shorter answers",
                ),
            ),
        ),
        NamedPrompt(
            name="extractor",
            versions=(PromptVersion(text="Give the facts of the text as JSON.", created=1.75e9),),
        ),
        NamedPrompt(name="half", broken="line 3, column 9: Object missing required field `versions`."),
    ]


def hostile() -> list[NamedAlias]:
    """Names and values that try to be more than text."""
    return [
        NamedAlias(
            name="[bold red]x[/]\x1b[2J",
            alias=Alias(
                model="\u202egnp.exe[/]",
                description="[@click=app.quit]quit[/] $primary \x1b]0;owned\x07",
                system="日本語🔥" * 60 + "\x9b31m",
                stop=("[/]", "\x1b[H"),
            ),
        ),
        NamedAlias(name="[/]", broken="[red]line 1[/blue]\x1b[2J"),
    ]


def _engine(app: HearthApp) -> RecordedEngine:
    return cast(RecordedEngine, app.connection.ready)


def at(
    *keys: str,
    before: Happens | None = None,
    then: Happens | None = None,
    after: Sequence[str] = (),
    wait: float = 0.5,
) -> Drive:
    """Fill the engine, press `keys`; let `then` happen elsewhere, press what comes `after`."""

    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        engine = _engine(app)
        engine.named, engine.said = named(), said()
        engine.answer = (
            "**The sea** is a drum that the moon keeps time on, a blue road that nobody laid. "
            "It lends every harbour a name, and asks what the sailors have paid."
        )
        if before is not None:
            before(engine)
        await asyncio.sleep(1.3)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.02)
        await asyncio.sleep(wait)
        if then is not None:
            then(engine)
            await asyncio.sleep(1.3)
        for key in after:
            await pilot.press(key)
            await pilot.pause(0.02)
        await asyncio.sleep(wait)

    return drive


def _empty(engine: RecordedEngine) -> None:
    engine.named = []


def _hostile(engine: RecordedEngine) -> None:
    engine.named = hostile()


def _damaged(engine: RecordedEngine) -> None:
    engine.damaged = StorageFailed(
        "aliases.json cannot be read.",
        "/home/ada/.config/hearth/aliases.json: line 12, column 7: Expecting ',' delimiter.",
        "Mend it in an editor, or move it away; it is left as it is.",
    )


def _elsewhere(engine: RecordedEngine) -> None:
    for place, each in enumerate(engine.named):
        if each.name == "bard" and each.alias is not None:
            changed = Alias(
                model=each.alias.model, system="You are a bard of few words.", sampling={"temperature": 0.3},
                max_tokens=100,
            )  # fmt: skip
            engine.named[place] = NamedAlias(name="bard", alias=changed)


def _held(engine: RecordedEngine) -> None:
    engine.hold = True


def _some(engine: RecordedEngine) -> None:
    engine.streams[-1].release(18)


ASKED = tuple(
    "space" if letter == " " else "question_mark" if letter == "?" else letter
    for letter in "What is the sea?"
)
TO_TEMPERATURE = ("enter", "right_square_bracket", "right_square_bracket", "right_square_bracket")
SCENES: dict[str, tuple[str, Drive]] = {
    "aliases": ("aliases", at("enter", wait=0.8)),
    "aliases-list": ("aliases", at("j", "j")),
    "aliases-typing": ("aliases", at(*TO_TEMPERATURE, "enter", "backspace", "5", wait=0.8)),
    "aliases-wrong": ("aliases", at(*TO_TEMPERATURE, "enter", *(["backspace"] * 3), *"99")),
    "aliases-choice": (
        "aliases",
        at("enter", "right_square_bracket", "right_square_bracket", "down", "down"),
    ),
    "aliases-set": ("aliases", at("enter", "m")),
    "aliases-box": ("aliases", at("enter", "right_square_bracket", "enter")),
    "aliases-list-box": (
        "aliases",
        at("enter", "right_square_bracket", "right_square_bracket", "down", "enter"),
    ),
    "aliases-prompts": ("aliases", at("j", "enter", "p", "left")),
    "aliases-model": ("aliases", at("enter", "enter", *"org/x")),
    "aliases-try": ("aliases", at("t", *ASKED, "enter", wait=1.0)),
    "aliases-trying": ("aliases", at("t", *ASKED, "enter", before=_held, then=_some)),
    "aliases-broken": ("aliases", at("end", "k")),
    "aliases-damaged": ("aliases", at(before=_damaged)),
    "aliases-damaged-later": ("aliases", at("enter", then=_damaged)),
    "aliases-conflict": (
        "aliases",
        at(*TO_TEMPERATURE, "enter", "backspace", "5", "enter", then=_elsewhere, wait=0.8),
    ),
    "aliases-new": ("aliases", at("n")),
    "aliases-taken": ("aliases", at("n", *(["backspace"] * 8), *"bard")),
    "aliases-empty": ("aliases", at(before=_empty)),
    "aliases-none": ("aliases", at("slash", *"zebra")),
    "aliases-hostile": ("aliases", at("j", "enter", before=_hostile)),
    "aliases-quit": ("aliases", at(*TO_TEMPERATURE, "enter", "5", "enter", "ctrl+q")),
}
"""Scene name: the workspace it starts in, and what is done there."""

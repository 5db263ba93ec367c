"""The chat in every state worth a picture, for `tui.screenshots`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from textual.pilot import Pilot
from textual.widgets import Input

from engine.errors import WorkerDied
from engine.types import AdapterRef, ConversationChange, StoredMessage, Tool, ToolChoice
from tui.app import HearthApp
from tui.recorded import Answers, RecordedEngine
from tui.screens.chat.conversation import Controls
from tui.screens.chat.screen import ChatScreen

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]

OVERVIEW = """<think>The reader asks for an overview. A table first, then what to remember, then some code.</think>\
Here are **three capitals** and how to greet there.

| city | country | people | greeting |
|:-----|:--------|-------:|:---------|
| Paris | France | 2,100,000 | bonjour |
| Quito | Ecuador | 2,800,000 | buenos días |
| Oslo | Norway | 720,000 | god dag |

1. A capital is not always the largest city.
2. Some countries have more than one:
   - Bolivia: Sucre and La Paz
   - South Africa: three of them

```python
def greet(city: str) -> str:
    greetings = {"Paris": "bonjour", "Oslo": "god dag"}
    return greetings.get(city, "hello")  # the rest of the world
```

> Travel is fatal to prejudice."""
KEPT: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("How do foxes see at night", "They have a mirror behind the retina, the tapetum lucidum.", {}),
    (
        "Bread without kneading",
        "Flour, water, salt, a little yeast, and eighteen hours.",
        {"folder": "kitchen"},
    ),
    ("Reading list for the summer", "Begin with the shortest one.", {"pinned": True, "tags": ("books",)}),
    ("Why is my kernel slow", "The loads are not coalesced.", {"folder": "work/gpu", "tags": ("cuda",)}),
    ("Names for a cat", "Popcorn, Kernel, Biscuit. Kernel is the best of them.", {}),
    ("Words of the day", "Petrichor: the smell of rain on dry earth.", {"tags": ("english", "words")}),
    (
        "Tiling a matrix product",
        "A kernel that tiles reads each value once for each tile.",
        {"folder": "work/gpu"},
    ),
)
TOOLS = (Tool(name="get_weather"), Tool(name="search_the_archive"))
DIED = WorkerDied(
    "The process of ember ended while it was answering.",
    "The system killed it (signal 9), most likely for want of memory.",
    "Press c to ask again: the model is loaded anew. A smaller window needs less memory.",
)


async def say(
    pilot: Pilot[None], app: HearthApp, text: str, answer: Answers | None = None, events: int | None = None
) -> None:
    """Ask `text`; with `events` only that many of the answer's come."""
    engine = cast(RecordedEngine, app.connection.ready)
    engine.answer, engine.hold = answer or engine.answer, events is not None
    chat = cast(ChatScreen, app.screen)
    chat.composer.prompt.load(text)
    await pilot.press("enter")
    await pilot.pause(0.2)
    if events is not None:
        engine.streams[-1].release(events)
    await pilot.pause(0.4)


async def _welcome(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.pause()


async def _answer(pilot: Pilot[None], app: HearthApp) -> None:
    app.choose_model("gemma-3-12b-it-qat")
    await say(pilot, app, "What is the capital of France?")
    await say(pilot, app, "And of some other countries? Say how to greet there.", OVERVIEW)


async def _streaming(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "Give me an overview of three capitals.", OVERVIEW, 110)


async def _stopped(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "Give me an overview of three capitals.", OVERVIEW, 62)
    await pilot.press("escape")
    await pilot.pause(0.3)
    await pilot.press("alt+up")


async def _error(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "What is the capital of France?")
    await say(pilot, app, "And of Japan?", DIED)


async def _branches(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "What is the capital of France?")
    await pilot.press("alt+up", "r")
    await pilot.pause(0.4)
    await pilot.press("alt+up")


async def _inspector(pilot: Pilot[None], app: HearthApp) -> None:
    await _answer(pilot, app)
    chat = cast(ChatScreen, app.screen)
    pirate = (AdapterRef("pirate", 0.5), AdapterRef("poet"))
    chat.presenter.current.controls = Controls(
        adapters=pirate, thinking=True, tools=TOOLS, tools_file="tools.json", tool_choice=ToolChoice()
    )
    chat.inspector.show(chat.presenter.current.controls)
    await pilot.press("ctrl+e")
    app.screen.query_one("#set-temperature", Input).value = "9"
    app.screen.query_one("#set-top_p", Input).value = "0.95"
    await pilot.pause(0.2)


async def _conversations(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "What is the capital of France?")
    await pilot.press("ctrl+n")
    await say(pilot, app, "Tell me a long story about a fox.", OVERVIEW, 40)
    await pilot.press("ctrl+n")
    cast(ChatScreen, app.screen).pane_of_conversations.display = True
    await say(pilot, app, "Name three colours.", "Red, green and blue.")


async def _many(pilot: Pilot[None], app: HearthApp) -> None:
    """Conversations of other days, in folders, with tags, some pinned; the last one is on screen."""
    kept = cast(RecordedEngine, app.connection.ready).conversations
    for number, (title, answer, change) in enumerate(KEPT):
        name = f"{number:016x}"
        await kept.save(
            name,
            [
                StoredMessage(id="q", role="user", content=f"{title}?"),
                StoredMessage(id="a", parent="q", role="assistant", content=answer, model="ember"),
            ],
            ConversationChange(title=title, **change),
        )
    chat = cast(ChatScreen, app.screen)
    chat.open_conversation(name)
    chat.pane_of_conversations.display = True
    chat.pane_of_conversations.reload()
    await pilot.pause(0.4)


async def _kept(pilot: Pilot[None], app: HearthApp) -> None:
    await _many(pilot, app)
    cast(ChatScreen, app.screen).sidebar.focus()
    await pilot.press("down")


async def _search(pilot: Pilot[None], app: HearthApp) -> None:
    await _many(pilot, app)
    await pilot.press("ctrl+r", *"kern")
    await pilot.pause(0.4)


async def _folder(pilot: Pilot[None], app: HearthApp) -> None:
    await _kept(pilot, app)
    await pilot.press("m")
    await pilot.pause(0.3)


async def _cut_off(pilot: Pilot[None], app: HearthApp) -> None:
    kept = cast(RecordedEngine, app.connection.ready).conversations
    messages = [
        StoredMessage(id="q", role="user", content="Tell me a long story about a fox."),
        StoredMessage(
            id="a",
            parent="q",
            role="assistant",
            model="ember",
            state="interrupted",
            content="Once upon a time there was a fox who wanted to know how large the wood was, so it set out one",
        ),
    ]
    await kept.save("fox", messages, ConversationChange(title="A story about a fox", draft="And then?"))
    cast(ChatScreen, app.screen).open_conversation("fox")
    await pilot.pause(0.4)


async def _commands(pilot: Pilot[None], app: HearthApp) -> None:
    await pilot.press("/")
    await pilot.pause(0.2)


async def _edit(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "What is the capital of France?")
    await pilot.press("alt+up", "k", "e")


SCENES: dict[str, tuple[str, Drive]] = {
    "chat-welcome": ("chat", _welcome),
    "chat": ("chat", _answer),
    "chat-streaming": ("chat", _streaming),
    "chat-stopped": ("chat", _stopped),
    "chat-error": ("chat", _error),
    "chat-branches": ("chat", _branches),
    "chat-inspector": ("chat", _inspector),
    "chat-conversations": ("chat", _conversations),
    "chat-kept": ("chat", _kept),
    "chat-search": ("chat", _search),
    "chat-folder": ("chat", _folder),
    "chat-cut-off": ("chat", _cut_off),
    "chat-commands": ("chat", _commands),
    "chat-edit": ("chat", _edit),
}
"""Scene name: the workspace, and what is done there."""

"""A conversation's title by the model that answered in it, written when nobody waits for that model.

    titles = TitleWriter(engine, wanted, written)
    titles.consider(conversation, request)    # an answer has ended
    titles.give_way()                         # somebody asks something: that goes first

The first words of the first question are the title until then, and stay it where the model gives none that fits. A
title that a person gave is never touched. The request is of class `batch`, reads only the beginning of what was said,
and is dropped when a question comes; the next answer is another occasion.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine import Engine, Stream
from engine.text_safety import plain
from engine.types import CachePolicy, Delta, Done, GenerationRequest, Message, Thinking
from tui.asking.pictures import named
from tui.screens.chat.conversation import ROOT, TITLE_LENGTH, Conversation, Node, title_of

READ = 1200
"""Characters of question and answer, each, that the model is shown."""
MOST_TOKENS = 32
MOST_WORDS = 10
TRIES = 3
"""Answers after which a conversation's title is asked for, until there is one."""
_ASKED = (
    "Give this conversation a title of three to six words, in its own language. "
    "Write the title alone: no quotation marks, no full stop.\n\n"
)


class TitleWriter:
    """Made on the UI's loop. `wanted` says whether titles are to be written; `written` is told of each that was."""

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        wanted: Callable[[], bool],
        written: Callable[[Conversation], None],
    ) -> None:
        self._engine, self._wanted, self._written = engine, wanted, written
        self._tried: dict[str, int] = {}
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None

    def consider(self, conversation: Conversation, answered: GenerationRequest) -> None:
        """Ask for a title if this conversation has none but its first words. `answered` is what was asked last."""
        asked = first_words(conversation)
        if asked is None or conversation.title != title_of(asked) or not self._wanted():
            return
        if self._task is not None or self._tried.get(conversation.id, 0) >= TRIES:
            return
        answer = next((node for node in conversation.path() if _says(node)), None)
        if answer is None:
            return
        self._tried[conversation.id] = self._tried.get(conversation.id, 0) + 1
        said = f"Question:\n{asked[:READ]}\n\nAnswer:\n{answer.content[:READ]}"
        request = GenerationRequest(
            model=answered.model,
            messages=(Message(role="user", content=f"{_ASKED}{said}"),),
            max_tokens=MOST_TOKENS,
            sampling={"temperature": 0.2},
            thinking=Thinking(enabled=False),
            # As it is loaded: a title is no reason to load anything.
            load=answered.load,
            backend=answered.backend,
            adapters=answered.adapters,
            cache=CachePolicy(write=False),
            client="tui",
            source="tui",
            priority="batch",
        )
        self._task = asyncio.get_running_loop().create_task(
            self._write(conversation, request, said), name="title"
        )

    def give_way(self) -> None:
        """Drop the title that is being written, if one is."""
        if self._stream is not None:
            self._stream.cancel()

    async def _write(self, conversation: Conversation, request: GenerationRequest, said: str) -> None:
        try:
            before = conversation.title
            engine = self._engine()
            if engine is None:
                return
            self._stream = engine.generate(request)
            pieces: list[str] = []
            async for event in self._stream:
                if isinstance(event, Delta) and event.kind == "content":
                    pieces.append(event.text)
                if isinstance(event, Done) and event.reason == "finished":
                    title = fitting("".join(pieces), said)
                    if title and conversation.title == before:
                        conversation.title = title
                        self._written(conversation)
        except Exception:
            return  # the first words are a title as well, and the chat says what is wrong with the engine
        finally:
            self._stream = self._task = None


def first_words(conversation: Conversation) -> str | None:
    """The question that a title was made of; None if there is none."""
    for name in conversation.children.get(ROOT, []):
        node = conversation.nodes[name]
        if node.role == "user":
            return named(node.content, node.pictures)
    return None


def fitting(written: str, said: str) -> str:
    """What a model wrote as a title; empty if it is none for what was said: too long, or about something else."""
    line = next((each.strip() for each in written.strip().splitlines() if each.strip()), "")
    for mark in ("**", "__", "#", "Title:", "title:"):
        line = line.removeprefix(mark).removesuffix(mark).strip()
    title = plain(line.strip("\"'“”„«»`*. ").strip(), 200)
    words = title.split()
    if not words or len(words) > MOST_WORDS or len(title) > TITLE_LENGTH + 12:
        return ""
    text = said.casefold()
    spoken = any(len(word) > 2 and word.strip(",:;!?").casefold() in text for word in words)
    return (
        title if spoken or any(ord(character) > 0x2E7F and character in said for character in title) else ""
    )


def _says(node: Node) -> bool:
    return node.role == "assistant" and bool(node.content.strip()) and node.error is None

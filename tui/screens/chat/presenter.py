"""What the chat does, without a widget: asks, stops, regenerates, edits and continues, in many conversations at once.

Every running answer is a `Generation` with a feed of the stream pump; the pump's clock drains them all, on screen or
not. The screen is told through the two callbacks and reads everything else from here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from msgspec.structs import replace

from engine import Engine
from engine.types import ToolCall
from tui.asking.pictures import Picture
from tui.screens.chat.conversation import Controls, Conversation, Conversations, Node
from tui.screens.chat.generation import Generation
from tui.screens.chat.request import build
from tui.screens.chat.titles import TitleWriter
from tui.stream.pump import Feed, Sink, StreamPump

JUST_ENDED_S = 1.0
"""So long after an answer's end a key to stop it may still be meant for it."""


class Unseen:
    """The sink of an answer that is not on screen: its text is in the message already."""

    def append(self, text: str) -> None:
        """Draw nothing."""

    def append_reasoning(self, text: str) -> None:
        """Draw nothing."""


@dataclass(frozen=True, slots=True)
class Running:
    """A generation and the feed that brings its text to the screen."""

    generation: Generation
    feed: Feed


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as it was written, and the pictures that it mentions."""

    text: str
    pictures: tuple[Picture, ...] = ()


class ChatPresenter:
    """Made on the UI's loop. `engine` gives the engine, None while it starts; `model` the app's choice.

    `adapters_of` gives the names of a model's adapters, as far as they are known.
    `touched` is told of messages that are new or different, parents first, so that they can be kept.
    `changed` is called when an answer began, or ended with its last text drawn; `ticked` after each tick of the clock;
    `refused` with a question whose pictures were not taken: its text is to be written on.
    """

    def __init__(
        self,
        engine: Callable[[], Engine | None],
        model: Callable[[], str],
        *,
        changed: Callable[[], None],
        ticked: Callable[[], None],
        adapters_of: Callable[[str], Collection[str]] = lambda model: (),
        refused: Callable[[Node], None] = lambda question: None,
        touched: Callable[..., None] = lambda conversation, *nodes: None,
        titles: TitleWriter | None = None,
    ) -> None:
        self._touched, self._titles = touched, titles
        self._adapters_of, self._refused = adapters_of, refused
        self.conversations = Conversations()
        self.pump = StreamPump(ticked)
        self._engine, self._model, self._changed = engine, model, changed
        self._running: dict[str, Running] = {}
        self._waiting: dict[str, list[Draft]] = {}
        self._ended_at: dict[str, float] = {}
        self.clock: Callable[[], float] = time.monotonic
        """Seconds that only grow."""

    @property
    def current(self) -> Conversation:
        """The conversation on screen."""
        return self.conversations.current

    def model_of(self, conversation: Conversation) -> str:
        """Who answers next there."""
        return conversation.model or self._model()

    def running(self, conversation: Conversation) -> Running | None:
        """What is being written in a conversation, if anything is."""
        return self._running.get(conversation.id)

    @property
    def running_ids(self) -> frozenset[str]:
        """The conversations in which an answer is being written."""
        return frozenset(self._running)

    def writing(self) -> list[tuple[Conversation, Node]]:
        """The answers that are being written, each with its conversation."""
        return [(each.generation.conversation, each.generation.node) for each in self._running.values()]

    def waiting(self, conversation: Conversation) -> list[str]:
        """Messages that are sent when the answer in progress is done."""
        return _texts(self._waiting.get(conversation.id, []))

    def just_ended(self, conversation: Conversation) -> bool:
        """Whether an answer there ended within the last second."""
        ended_at = self._ended_at.get(conversation.id)
        return ended_at is not None and self.clock() - ended_at < JUST_ENDED_S

    # --- asking

    def send(
        self, conversation: Conversation, text: str, pictures: tuple[Picture, ...] = ()
    ) -> Generation | None:
        """Ask `text` at the end of the path; None if it waits for the answer in progress.

        A question that was refused is no part of the path any more: this one takes its place, as another version.
        """
        if conversation.id in self._running:
            self._waiting.setdefault(conversation.id, []).append(Draft(text, pictures))
            return None
        question = conversation.add(_end(conversation), "user", text, pictures=pictures)
        return self._answer(conversation, question)

    def regenerate(self, conversation: Conversation, node: Node) -> Generation:
        """Another answer: beside an answer, or below a question."""
        question = conversation.nodes[node.parent] if node.role == "assistant" else node
        return self._answer(conversation, question)

    def beside(self, conversation: Conversation, answer: Node, model: str) -> Node:
        """Have `model` answer what `answer` answers; its answer is a branch beside that one."""
        question = conversation.nodes[answer.parent]
        return self._answer(conversation, question, model).node

    def starred(self, conversation: Conversation, node: Node) -> None:
        """The star of a message was set or taken back: keep and show that."""
        self._touched(conversation, node)
        self._changed()

    def edit(
        self,
        conversation: Conversation,
        node: Node,
        text: str,
        *,
        resend: bool,
        pictures: tuple[Picture, ...] = (),
    ) -> Generation | None:
        """A new version of a message beside the old; with `resend` a question is answered at once.

        `pictures` are what it mentions and the old one did not.
        """
        version = conversation.sibling(node.id, text, pictures)
        self._touched(conversation, version)
        return self._answer(conversation, version) if resend and version.role != "assistant" else None

    def answer_call(
        self, conversation: Conversation, call: ToolCall, text: str, *, failed: bool, resend: bool
    ) -> Generation | None:
        """Put the result of a call at the end of the path; with `resend` the model goes on from it at once."""
        leaf = conversation.leaf
        assert leaf is not None, "a call has a message that made it"
        result = conversation.answer_call(leaf.id, call, text, failed=failed)
        self._touched(conversation, result)
        if resend:
            return self._answer(conversation, result)
        self._changed()
        return None

    def resume(self, conversation: Conversation) -> Generation | None:
        """Write the last answer on; a question or a result without an answer is answered.

        None if there is nothing, and for an answer that called tools: their results are what goes on.
        """
        leaf = conversation.leaf
        if leaf is None or leaf.tool_calls:
            return None
        if leaf.role != "assistant":
            return self._answer(conversation, leaf)
        if not leaf.content and not leaf.reasoning:
            leaf.error, leaf.stopped, leaf.interrupted = None, False, False
            return self._start(conversation, leaf, resume=False)
        leaf.error, leaf.stopped, leaf.finish, leaf.interrupted = None, False, None, False
        return self._start(conversation, leaf, resume=True)

    def stop(self, conversation: Conversation) -> list[str]:
        """End the answer in progress, keep what there is; gives back what waited behind it."""
        running = self._running.get(conversation.id)
        if running is not None:
            running.generation.stop()
            self.pump.wake()
        return _texts(self._waiting.pop(conversation.id, []))

    def left_waiting(self, conversation: Conversation) -> list[str]:
        """Gives back what waited behind an answer that failed; nothing while one is being written."""
        if conversation.id in self._running:
            return []
        return _texts(self._waiting.pop(conversation.id, []))

    def stop_all(self) -> None:
        """End every answer, for leaving; what came of it is in its message."""
        for running in self._running.values():
            running.generation.stop()
            running.generation.poll()
            if not running.generation.ended:
                running.generation.node.stopped = True
            self._touched(running.generation.conversation, running.generation.node)
        self._running.clear()
        self.pump.stop()
        if self._titles is not None:
            self._titles.give_way()

    # --- showing

    def show_in(self, running: Running, sink: Sink) -> None:
        """Send an answer's text to `sink`, beginning with what there is already."""
        node = running.generation.node
        running.feed.held = None
        running.feed.sink = Unseen()
        running.feed.drain()  # what waited is in the message, and drawn with it
        if node.reasoning:
            sink.append_reasoning(node.reasoning)
        if node.content:
            sink.append(node.content)
        running.feed.sink = sink

    def hide(self, running: Running) -> None:
        """The answer has left the screen and is written on unseen."""
        running.feed.held = None
        running.feed.sink = Unseen()

    # --- its own

    def _answer(self, conversation: Conversation, question: Node, model: str = "") -> Generation:
        """Answer `question`; another `model` than the conversation's answers without its adapters."""
        node = conversation.add(question.id, "assistant", model=model or self.model_of(conversation))
        controls = conversation.controls if not model else replace(conversation.controls, adapters=None)
        node.adapters = controls.adapters or ()
        if controls.constraint is not None and controls.constraint.kind in ("json", "schema"):
            node.syntax = "json"
        return self._start(conversation, node, resume=False, model=model, controls=controls)

    def _start(
        self,
        conversation: Conversation,
        node: Node,
        *,
        resume: bool,
        model: str = "",
        controls: Controls | None = None,
    ) -> Generation:
        if self._titles is not None:
            self._titles.give_way()
        path = conversation.path_to(node.id)
        request = build(
            model or self.model_of(conversation),
            path if resume else path[:-1],
            controls if controls is not None else conversation.controls,
            resume=resume,
        )
        generation = Generation(conversation, node, request, self._engine, self._adapters_of(request.model))
        feed = self.pump.open(Unseen(), lambda: self._end(generation))
        self._running[conversation.id] = Running(generation, feed)

        def drain() -> None:
            for thinking, text in generation.poll():
                (feed.push_reasoning if thinking else feed.push)(text)
            if generation.ended:
                feed.close()

        feed.source = drain
        # Handed over to be kept before the model is asked.
        parent = conversation.nodes.get(node.parent)
        self._touched(conversation, *((parent,) if parent is not None else ()), node)
        generation.begin()
        self._changed()
        return generation

    def _end(self, generation: Generation) -> None:
        conversation = generation.conversation
        self._running.pop(conversation.id, None)
        self._ended_at[conversation.id] = self.clock()
        question = conversation.nodes.get(generation.node.parent)
        if question is not None and _was_refused(question, generation.node):
            question.returned = True
            self._touched(conversation, question)
            self._refused(question)
        self._touched(conversation, generation.node)
        self._changed()
        waiting = self._waiting.get(conversation.id, [])
        if waiting and conversation.id not in self._running and generation.node.error is None:
            draft = waiting.pop(0)
            self.send(conversation, draft.text, draft.pictures)
        elif self._titles is not None and not self._running and not generation.stopped:
            self._titles.consider(conversation, generation.request)


def _texts(drafts: list[Draft]) -> list[str]:
    return [draft.text for draft in drafts]


def _end(conversation: Conversation) -> str:
    """The message that the next question follows."""
    path = conversation.path()
    while path and (path[-1].returned or (_only_failed(path[-1]) and path[-2].returned)):
        path.pop()
    return path[-1].id if path else ""


def _only_failed(answer: Node) -> bool:
    return answer.error is not None and not (answer.content or answer.reasoning or answer.tool_calls)


def _was_refused(question: Node, answer: Node) -> bool:
    """Whether a question's pictures are why nothing came: the same would not go better a second time."""
    error = answer.error
    return bool(question.pictures) and _only_failed(answer) and error is not None and error.http_status < 404

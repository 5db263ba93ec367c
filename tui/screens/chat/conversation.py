"""A conversation as a tree of messages: editing and regenerating make siblings, nothing is ever destroyed.

Each node knows its parent; of the children of a node one is chosen, and the chosen ones from the root on are the
path that is shown and sent. Plain data that msgspec can write down; knows no engine and no screen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo
from engine.types import (
    AdapterRef,
    BackendName,
    CacheMiss,
    Constraint,
    Effort,
    FinishReason,
    LoadOptions,
    Overflow,
    Timings,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from tui.asking.pictures import Picture, kept, named

Role = Literal["user", "assistant", "tool"]
TITLE_WORDS = 7
TITLE_LENGTH = 48
ROOT = ""
"""The parent of first messages, in `children` and `chosen`."""


class Node(Struct, kw_only=True):
    """One message. `id` is unique within its conversation; `parent` is `ROOT` for a first message."""

    id: str
    parent: str
    role: Role
    content: str = ""
    """As written: where a picture stands, its mention does."""
    pictures: tuple[Picture, ...] = ()
    """What `content` mentions, in order."""
    returned: bool = False
    """Of a question: whether it was refused and is being written anew, so that the next one takes its place."""
    reasoning: str = ""
    thought_ns: int = 0
    """How long it thought; 0 where unknown."""
    thought_tokens: int = 0
    tool_calls: list[ToolCall] = field(default_factory=list)
    """The tools that it calls, in its order; the ids differ."""
    tool_call_id: str = ""
    """Of a result: the call that it answers."""
    tool_name: str = ""
    tool_error: bool = False
    model: str = ""
    """Which model or alias wrote it; empty for what a person wrote."""
    adapters: tuple[AdapterRef, ...] = ()
    """What it was written with, by the names that people know."""
    syntax: str = ""
    """The language of a text that is code as a whole; `json` where JSON was asked for."""
    usage: Usage | None = None
    timings: Timings | None = None
    """Both of the last run that wrote it."""
    written_before: int = 0
    """Tokens that earlier runs wrote, where it was continued; to the last run they are prompt."""
    context: int = 0
    """The window it was written in, tokens; 0 where unknown."""
    context_asked: int | None = None
    """The window that was asked for, if one was."""
    miss: CacheMiss | None = None
    """Why the prompt was not read from the cache to its end."""
    dropped: int = 0
    """Older messages that found no room in the window when it was written."""
    dropped_tokens: int = 0
    shifted: int = 0
    """Tokens of the window that were forgotten so that it could be written on."""
    finish: FinishReason | None = None
    error: ErrorInfo | None = None
    stopped: bool = False
    """Whether the reader stopped it; the text before that stands."""
    edited: bool = False
    """Whether a person changed what a model wrote."""
    starred: bool = False
    """Whether a person set it apart, for a dataset."""
    interrupted: bool = False
    """Whether whoever wrote it ended in the middle; the text is what was kept."""

    @property
    def written(self) -> int:
        """Tokens written in all."""
        return self.written_before + (self.usage.completion_tokens if self.usage is not None else 0)


class Controls(Struct, kw_only=True):
    """What the inspector sets for a conversation; None and absent mean "not said"."""

    system: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    overflow: Overflow | None = None
    cache: bool | None = None
    """Whether the prefix cache is used."""
    load: LoadOptions = field(default_factory=LoadOptions)
    keep_alive: float | None = None
    """Seconds that the model stays afterwards; negative for ever."""
    image_max_side: int | None = None
    """Pixels that pictures are brought down to."""
    backend: BackendName = "auto"
    adapters: tuple[AdapterRef, ...] | None = None
    """None: the model's own; empty: none at all."""
    thinking: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    """Most tokens of thinking."""
    constraint: Constraint | None = None
    constraint_text: str = ""
    """What the constraint was read from: a file's name, a pattern, choices."""
    tools: tuple[Tool, ...] = ()
    tools_file: str = ""
    tool_choice: ToolChoice = field(default_factory=ToolChoice)


class Conversation(Struct, kw_only=True):
    """The tree, the path chosen in it, and what the next answer is made with."""

    id: str
    title: str = ""
    model: str = ""
    """Who answers next; empty: the app's choice."""
    controls: Controls = field(default_factory=Controls)
    nodes: dict[str, Node] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    """Ids of a node's children, oldest first."""
    chosen: dict[str, str] = field(default_factory=dict)
    """Which child of a node is on the path."""
    draft: str = ""
    """What is being written and is not sent."""
    top: str = ""
    """The message at the top of the screen; empty: the end."""

    def add(
        self,
        parent: str,
        role: Role,
        content: str = "",
        *,
        model: str = "",
        pictures: tuple[Picture, ...] = (),
    ) -> Node:
        """A new message below `parent` (`ROOT` for a first one), chosen at once. Raises KeyError."""
        if parent != ROOT:
            self.nodes[parent]
        node = Node(id=_new_id(), parent=parent, role=role, content=content, model=model, pictures=pictures)
        self.nodes[node.id] = node
        self.children.setdefault(parent, []).append(node.id)
        self.select(node.id)
        if role == "user" and not self.title:
            self.title = title_of(named(content, pictures))
        return node

    def sibling(self, node_id: str, content: str, added: Iterable[Picture] = ()) -> Node:
        """A new version of a message beside it, chosen; the old one and all below it stay.

        The pictures that it still mentions stay with it, and those `added` come with it.
        """
        old = self.nodes[node_id]
        pictures = kept(content, [*old.pictures, *added])
        node = self.add(old.parent, old.role, content, model=old.model, pictures=pictures)
        node.edited = old.role == "assistant"
        node.tool_call_id, node.tool_name, node.tool_error = old.tool_call_id, old.tool_name, old.tool_error
        node.tool_calls, node.adapters = list(old.tool_calls), old.adapters
        node.syntax = syntax_of(content) if old.role == "tool" else old.syntax
        return node

    def answer_call(self, parent: str, call: ToolCall, content: str, *, failed: bool = False) -> Node:
        """The result of a call, below `parent`: the message that made it, or the result before."""
        node = self.add(parent, "tool", content)
        node.tool_call_id, node.tool_name, node.tool_error = call.id, call.name, failed
        node.syntax = syntax_of(content)
        return node

    def results_of(self, node_id: str) -> dict[str, Node]:
        """The results that follow a message on the chosen path, by the id of the call that they answer."""
        found: dict[str, Node] = {}
        at = self.chosen.get(node_id, "")
        while at and self.nodes[at].role == "tool":
            found[self.nodes[at].tool_call_id] = self.nodes[at]
            at = self.chosen.get(at, "")
        return found

    def open_calls(self) -> list[ToolCall]:
        """The calls at the end of the path that have no result yet, in their order."""
        path = self.path()
        while path and path[-1].role == "tool":
            path.pop()
        if not path:
            return []
        results = self.results_of(path[-1].id)
        return [call for call in path[-1].tool_calls if call.id not in results]

    def path(self) -> list[Node]:
        """The chosen messages from the first to the last."""
        found: list[Node] = []
        at = ROOT
        while (at := self.chosen.get(at, "")) != "":
            found.append(self.nodes[at])
        return found

    def path_to(self, node_id: str) -> list[Node]:
        """The messages from the first to this one, whatever is chosen."""
        found: list[Node] = []
        while node_id != ROOT:
            node = self.nodes[node_id]
            found.append(node)
            node_id = node.parent
        return found[::-1]

    @property
    def leaf(self) -> Node | None:
        """The last message of the path."""
        path = self.path()
        return path[-1] if path else None

    def place(self, node_id: str) -> tuple[int, int]:
        """(which sibling it is, counted from 1; how many there are)."""
        beside = self.children[self.nodes[node_id].parent]
        return beside.index(node_id) + 1, len(beside)

    def select(self, node_id: str) -> None:
        """Put a message on the path; below it the path goes where it went before."""
        while node_id != ROOT:
            parent = self.nodes[node_id].parent
            self.chosen[parent] = node_id
            node_id = parent

    def step(self, node_id: str, by: int) -> Node | None:
        """Choose the sibling `by` places further; None if there is none there."""
        beside = self.children[self.nodes[node_id].parent]
        place = beside.index(node_id) + by
        if not 0 <= place < len(beside):
            return None
        self.select(beside[place])
        return self.nodes[beside[place]]


class Conversations(Struct, kw_only=True):
    """The conversations that are open in this run, in the order of opening, and which of them is on screen."""

    every: list[Conversation] = field(default_factory=list)
    current_id: str = ""

    @property
    def current(self) -> Conversation:
        """The one on screen; an empty one is made if there is none."""
        for conversation in self.every:
            if conversation.id == self.current_id:
                return conversation
        return self.new()

    def new(self) -> Conversation:
        """An empty conversation on screen: one that is empty already is taken, else one is made."""
        for conversation in self.every:
            if not conversation.nodes and not conversation.draft:
                self.current_id = conversation.id
                return conversation
        model = next((talk.model for talk in self.every if talk.id == self.current_id), "")
        conversation = Conversation(id=_new_id(), model=model)
        self.every.append(conversation)
        self.current_id = conversation.id
        return conversation

    def open(self, conversation_id: str) -> Conversation:
        """Put a conversation on screen. Raises KeyError if there is none of that id."""
        for conversation in self.every:
            if conversation.id == conversation_id:
                self.current_id = conversation_id
                return conversation
        raise KeyError(conversation_id)

    def add(self, conversation: Conversation) -> Conversation:
        """Have a conversation that was kept among them; one that is open already stays what it is."""
        for each in self.every:
            if each.id == conversation.id:
                return each
        self.every.append(conversation)
        return conversation

    def remove(self, conversation_id: str) -> None:
        """Let a conversation go."""
        self.every = [each for each in self.every if each.id != conversation_id]


def _new_id() -> str:
    """An id that nothing else has, in this run or another."""
    return os.urandom(8).hex()


def title_of(question: str) -> str:
    """The first words of a question's first paragraph, as a title."""
    words = question.strip().partition("\n\n")[0].split()
    title = " ".join(words[:TITLE_WORDS])
    cut = len(words) > TITLE_WORDS or len(title) > TITLE_LENGTH
    return title[:TITLE_LENGTH].rstrip(" ,.;:") + "…" if cut else title


def syntax_of(result: str) -> str:
    """`json` for a tool's result that is an object or a list; empty for any other text."""
    try:
        return "json" if isinstance(json.loads(result), dict | list) else ""
    except (ValueError, RecursionError):
        return ""

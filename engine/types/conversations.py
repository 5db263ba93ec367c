"""Conversations as they are kept: a tree of messages, and what is known of the whole.

Times are Unix seconds. A message names its parent; of messages with one parent one is `chosen`, and the chosen ones
from the root on are the path that is shown, sent and exported.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from engine.errors import ErrorInfo
from engine.types.events import CacheMiss, FinishReason, Timings, Usage
from engine.types.messages import Json, ToolCall
from engine.types.request import AdapterRef

MessageRole = Literal["user", "assistant", "tool"]
MessageState = Literal["whole", "writing", "interrupted"]
ConversationForm = Literal["markdown", "json", "openai"]


class Attachment(Struct, frozen=True, kw_only=True):
    """A picture that a message shows. `name` is how its text mentions it, `path` where it lies now."""

    name: str
    path: str
    media_type: str
    width: int = 0
    height: int = 0
    """Upright pixels; 0 where unknown."""
    size: int = 0
    """Bytes of the file."""
    digest: str = ""
    """BLAKE2b of 16 bytes of the file's content, in hex."""


class StoredMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. `id` is unique within its conversation; `parent` is empty for a first message."""

    id: str
    parent: str = ""
    role: MessageRole
    content: str = ""
    """As written: where an attachment stands, its mention does."""
    attachments: tuple[Attachment, ...] = ()
    reasoning: str = ""
    thought_ns: int = 0
    thought_tokens: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""
    tool_error: bool = False
    model: str = ""
    """Who wrote it; empty for what a person wrote."""
    adapters: tuple[AdapterRef, ...] = ()
    syntax: str = ""
    """The language of a text that is code as a whole."""
    usage: Usage | None = None
    timings: Timings | None = None
    written_before: int = 0
    """Tokens that earlier runs wrote, where it was continued."""
    context: int = 0
    """The window it was written in, tokens; 0 where unknown."""
    context_asked: int | None = None
    miss: CacheMiss | None = None
    dropped: int = 0
    dropped_tokens: int = 0
    shifted: int = 0
    finish: FinishReason | None = None
    error: ErrorInfo | None = None
    stopped: bool = False
    edited: bool = False
    starred: bool = False
    """Whether a person set it apart, for a dataset."""
    returned: bool = False
    """Of a question: whether it was refused, so that the next one takes its place."""
    state: MessageState = "whole"
    """`interrupted`: whoever wrote it ended in the middle; the text is what was kept."""
    chosen: bool = True
    created: float = 0.0
    """0: now."""


class ConversationSummary(Struct, frozen=True, kw_only=True):
    """A line of a list."""

    id: str
    title: str = ""
    folder: str = ""
    """Empty: in none. A `/` makes one within another."""
    tags: tuple[str, ...] = ()
    pinned: bool = False
    archived: bool = False
    model: str = ""
    created: float = 0.0
    updated: float = 0.0
    """When a message last came or changed."""
    messages: int = 0
    """On all branches."""


class ConversationTree(Struct, frozen=True, kw_only=True):
    """A whole conversation. Of `settings`, `system` is the system prompt; the rest is whoever's that made it."""

    summary: ConversationSummary
    settings: Json = None
    draft: str = ""
    """What was being written and is not sent."""
    place: str = ""
    """The message at the top of the screen; empty: the end."""
    messages: tuple[StoredMessage, ...] = ()
    """In the order in which they came: parents before children."""


class ConversationChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be changed of a conversation; what is not said stays."""

    title: str | UnsetType = UNSET
    folder: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    """All of them."""
    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    model: str | UnsetType = UNSET
    settings: Json | UnsetType = UNSET
    draft: str | UnsetType = UNSET
    place: str | UnsetType = UNSET


class ConversationQuery(Struct, frozen=True, kw_only=True):
    """Which conversations: all conditions hold. `text` is looked for in titles and messages."""

    text: str = ""
    folder: str | None = None
    """This one and those within it; empty text: those in no folder."""
    tags: tuple[str, ...] = ()
    """All of them."""
    pinned: bool | None = None
    archived: bool | None = False
    limit: int = 50
    offset: int = 0


class SearchHit(Struct, frozen=True, kw_only=True):
    """Where the text was found. The snippet's found words stand between `\\x02` and `\\x03`."""

    snippet: str
    message: str = ""
    """Empty: in the title."""
    on_path: bool = True
    """False: on a branch that is not chosen."""


class FoundConversation(Struct, frozen=True, kw_only=True):
    """A conversation of a list, with the hit if a text was looked for."""

    summary: ConversationSummary
    hit: SearchHit | None = None


class ConversationPage(Struct, frozen=True, kw_only=True):
    """Pinned ones first, then the newest. `more`: whether there are further ones behind."""

    found: tuple[FoundConversation, ...] = ()
    more: bool = False


class StarredMessage(Struct, frozen=True, kw_only=True):
    """A message that was set apart, with all that was said before it."""

    conversation: str
    title: str = ""
    system: str = ""
    messages: tuple[StoredMessage, ...]
    """From the first to the starred one, on whatever branch that is."""


class ConversationFile(Struct, frozen=True, kw_only=True):
    """Exported conversations."""

    name: str
    """A file name that says what it is."""
    media_type: str
    data: bytes


class RefusedEntry(Struct, frozen=True, kw_only=True):
    """An entry of an imported file that could not be read."""

    name: str
    why: str


class ImportedConversation(Struct, frozen=True, kw_only=True):
    """A conversation that an import brought, or found here already."""

    summary: ConversationSummary
    added: int
    """Messages that are new here; 0: all of it was here already."""
    missing: tuple[str, ...] = ()
    """Attachments that it names and that did not come with it."""


class ImportReport(Struct, frozen=True, kw_only=True):
    """What became of an imported file, in its order."""

    conversations: tuple[ImportedConversation, ...] = ()
    refused: tuple[RefusedEntry, ...] = ()


class Label(Struct, frozen=True):
    """A folder or tag, and how many conversations have it."""

    name: str
    count: int


class ConversationLabels(Struct, frozen=True, kw_only=True):
    """What conversations are sorted by."""

    folders: tuple[Label, ...] = field(default_factory=tuple)
    tags: tuple[Label, ...] = field(default_factory=tuple)

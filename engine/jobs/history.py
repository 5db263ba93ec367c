"""A job within a conversation: what was said before as the model's messages, and its answer as one that is kept."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.jobs.turns import Taken
from engine.types import (
    Admitted,
    Delta,
    Done,
    Finished,
    FinishReason,
    GenerationRequest,
    ImagePart,
    Json,
    Message,
    Part,
    StoredMessage,
    StreamEvent,
    TextPart,
    ToolCall,
    ToolDelta,
)


def asked_in(taken: Taken) -> GenerationRequest:
    """The job's request with the history of its conversation before it, and its system prompt where it has none."""
    request = taken.outcome.request
    assert request is not None
    if taken.tree is None:
        return request
    before = tuple(message_of(each) for each in taken.history)
    system = request.system
    if system is None and isinstance(taken.tree.settings, dict):
        said: Json = taken.tree.settings.get("system")
        system = said if isinstance(said, str) and said else None
    return replace(request, messages=(*before, *(request.messages or ())), system=system)


def message_of(message: StoredMessage) -> Message:
    """A kept message as the model reads it; pictures stand where the text mentions them, others at its end."""
    return Message(
        role=message.role,
        content=_content(message),
        reasoning=message.reasoning or None,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id or None,
        tool_name=message.tool_name or None,
        tool_error=message.tool_error,
    )


def _content(message: StoredMessage) -> str | tuple[Part, ...]:
    if not message.attachments:
        return message.content
    text = message.content
    places = sorted(
        (text.find(each.name), each.name, each) for each in message.attachments if each.name in text
    )
    parts: list[Part] = []
    at = 0
    for place, name, each in places:
        if place < at:
            continue
        parts += [TextPart(text[at:place]), ImagePart(path=each.path, media_type=each.media_type)]
        at = place + len(name)
    parts.append(TextPart(text[at:]))
    mentioned = {name for _, name, _ in places}
    parts += [
        ImagePart(path=each.path, media_type=each.media_type)
        for each in message.attachments
        if each.name not in mentioned
    ]
    return tuple(part for part in parts if not isinstance(part, TextPart) or part.text.strip())


def exchange(taken: Taken, events: Sequence[StreamEvent]) -> tuple[StoredMessage, ...]:
    """What the conversation gains: the job's own messages, then the answer. Their ids are the job's."""
    job, request = taken.outcome.job, taken.outcome.request
    assert request is not None
    asked = [
        StoredMessage(
            id=f"job-{job.id}-{place}",
            role=message.role,
            content=message.text,
            tool_calls=message.tool_calls,
            tool_call_id=message.tool_call_id or "",
            tool_name=message.tool_name or "",
            tool_error=message.tool_error,
        )
        for place, message in enumerate(request.messages or ())
        if message.role != "system"
    ]
    return (*asked, _answer(f"job-{job.id}-answer", job.model, events))


def text_of(events: Sequence[StreamEvent]) -> str:
    """The text of the first choice."""
    return "".join(
        event.text
        for event in events
        if isinstance(event, Delta) and event.choice == 0 and event.kind == "content"
    )


def _answer(id: str, model: str, events: Sequence[StreamEvent]) -> StoredMessage:
    done = next((event for event in events if isinstance(event, Done)), Done(reason="finished"))
    admitted = next((event for event in events if isinstance(event, Admitted)), None)
    finish: FinishReason | None = next(
        (event.reason for event in events if isinstance(event, Finished) and event.choice == 0), None
    )
    reasoning = "".join(
        event.text
        for event in events
        if isinstance(event, Delta) and event.choice == 0 and event.kind == "reasoning"
    )
    return StoredMessage(
        id=id,
        role="assistant",
        content=text_of(events),
        reasoning=reasoning,
        tool_calls=_calls(events),
        model=model,
        adapters=done.adapters,
        usage=done.usage,
        timings=done.timings,
        context=admitted.context if admitted is not None else 0,
        dropped=admitted.dropped_messages if admitted is not None else 0,
        dropped_tokens=admitted.dropped_tokens if admitted is not None else 0,
        finish=finish,
    )


def _calls(events: Sequence[StreamEvent]) -> tuple[ToolCall, ...]:
    found: dict[int, tuple[str, str, str]] = {}
    for event in events:
        if isinstance(event, ToolDelta) and event.choice == 0:
            id, name, arguments = found.get(event.index, ("", "", ""))
            found[event.index] = (event.id or id, event.name or name, arguments + event.arguments)
    return tuple(
        ToolCall(id=id, name=name, arguments=arguments) for _, (id, name, arguments) in sorted(found.items())
    )

"""Rewrites a conversation until a template can show all of it: calls, their results, and the tools on offer.

Clients write histories for the interface they know, not for the model: ids of any form, results without a name,
several calls in one answer, text beside them. What a template takes is known by its traits, and how its family
writes calls by its format; what it cannot show in a role of its own is put into words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce

import msgspec

from engine.prompt.mappings import tool_mapping
from engine.prompt.tools.base import ToolFormat
from engine.prompt.traits import Traits
from engine.types import ImagePart, Message, TextPart, Tool, ToolCall

EMPTY_TURN = Message(role="assistant", content="")


def adapted(
    messages: Sequence[Message],
    described: Sequence[Tool],
    traits: Traits,
    family: ToolFormat,
    *,
    shows_calls: bool,
) -> list[Message]:
    """The messages as the template can show them, with the tools of `described` put into the system prompt."""
    made = list(messages)
    if any(message.tool_calls or message.role == "tool" for message in made):
        made = paired(made, family)
        if not shows_calls:
            made = [_written(message, family) for message in made]
        else:
            if not traits.several:
                made = _one_call_each(made)
            made = _set_apart(made, traits)
        if not traits.results:
            made = _told(made)
    if described:
        made = with_system(made, description(described, family))
    if not traits.system:
        made = folded(made)
    elif not traits.system_stays and made[-1].role == "tool":
        # Mistral's place for it is the user's last message; some of its templates forget it when results follow.
        made = folded(made, last=True)
    if traits.alternates:
        made = _in_turns(made)
    return made


def paired(messages: Sequence[Message], family: ToolFormat) -> list[Message]:
    """Every result with the id and name of its call, in the form of ids that the family's templates take.

    A result without an id belongs to the call of its name, or to the first that has no result yet.
    """
    made: list[Message] = []
    waiting: list[tuple[str, str, str]] = []
    count = 0
    for message in messages:
        if message.tool_calls:
            named = [_identified(call, count + place) for place, call in enumerate(message.tool_calls)]
            ids = family.history_ids(named, count)
            waiting = [(call.id, id, call.name) for call, id in zip(named, ids, strict=True)]
            calls = tuple(
                ToolCall(id=id, name=call.name, arguments=call.arguments)
                for call, id in zip(named, ids, strict=True)
            )
            count += len(calls)
            message = msgspec.structs.replace(message, tool_calls=calls)
        elif message.role == "tool":
            message = _matched(message, waiting, family)
        made.append(message)
    return made


def _identified(call: ToolCall, place: int) -> ToolCall:
    return call if call.id else ToolCall(id=f"call_{place}", name=call.name, arguments=call.arguments)


def _matched(message: Message, waiting: list[tuple[str, str, str]], family: ToolFormat) -> Message:
    """A result with the id and name of its call, which then waits no longer; an error says that it is one."""
    found = next((one for one in waiting if one[0] == message.tool_call_id), None)
    if found is None and not message.tool_call_id:
        found = next((one for one in waiting if one[2] == message.tool_name), None) or next(
            iter(waiting), None
        )
    if found is not None:
        waiting.remove(found)
        _, id, name = found
    else:
        name = message.tool_name or ""
        (id,) = family.history_ids(
            [ToolCall(id=message.tool_call_id or "call_0", name=name, arguments="")], 0
        )
    text = message.text
    if message.tool_error and not text.lower().lstrip().startswith("error"):
        content = message.content
        message = msgspec.structs.replace(
            message,
            content=f"Error: {text}" if isinstance(content, str) else (TextPart("Error: "), *content),
        )
    return msgspec.structs.replace(message, tool_call_id=id, tool_name=message.tool_name or name or None)


def _one_call_each(messages: Sequence[Message]) -> list[Message]:
    """Answers with several calls as several answers, each followed by its result."""
    made: list[Message] = []
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if len(message.tool_calls) < 2:
            made.append(message)
            continue
        results: list[Message] = []
        while place < len(messages) and messages[place].role == "tool":
            results.append(messages[place])
            place += 1
        for number, call in enumerate(message.tool_calls):
            one = message if number == 0 else Message(role="assistant", name=message.name)
            made.append(msgspec.structs.replace(one, tool_calls=(call,)))
            made += [result for result in results if result.tool_call_id == call.id]
        ids = {call.id for call in message.tool_calls}
        made += [result for result in results if result.tool_call_id not in ids]
    return made


def _set_apart(messages: Sequence[Message], traits: Traits) -> list[Message]:
    """Text beside calls where the template shows it: beside them, before them, or among the reasoning."""
    made: list[Message] = []
    for message in messages:
        if not message.tool_calls or not message.text:
            made.append(message)
        elif traits.beside == "apart":
            made.append(msgspec.structs.replace(message, tool_calls=()))
            made.append(Message(role="assistant", tool_calls=message.tool_calls, name=message.name))
        elif message.reasoning and not traits.reasoning_beside:
            reasoning = f"{message.reasoning}\n\n{message.text}"
            made.append(msgspec.structs.replace(message, reasoning=reasoning, content=""))
        else:
            made.append(message)
    return made


def _written(message: Message, family: ToolFormat) -> Message:
    """An answer with its calls written into its text."""
    if not message.tool_calls:
        return message
    text = message.text.rstrip()
    calls = family.write(message.tool_calls)
    return msgspec.structs.replace(message, content=f"{text}\n{calls}" if text else calls, tool_calls=())


def _told(messages: Sequence[Message]) -> list[Message]:
    """Results as messages of the user, those of one answer in one message."""
    made: list[Message] = []
    telling = False
    for message in messages:
        if message.role != "tool":
            made.append(message)
        else:
            text = f"<tool_response>\n{message.text}\n</tool_response>"
            if message.tool_name:
                text = f"Result of {message.tool_name}:\n{text}"
            if telling:
                text = f"{made.pop().text}\n{text}"
            made.append(Message(role="user", content=text))
        telling = message.role == "tool"
    return made


def description(tools: Sequence[Tool], family: ToolFormat) -> str:
    """Words that offer tools to a model whose template does not, and ask for calls in its family's form."""
    listed = "\n".join(json.dumps(tool_mapping(tool)["function"], ensure_ascii=False) for tool in tools)
    example = family.write(
        [ToolCall(id="call00001", name="tool-name", arguments='{"argument-name": "argument-value"}')]
    ).strip()
    return (
        "# Tools\n\nYou can call these tools. Each line describes one, with the JSON Schema of its arguments:\n\n"
        f"{listed}\n\nTo call a tool, write exactly this, with its name and a JSON object of its arguments, "
        f"and nothing after it but further calls:\n\n{example}\n\nThe results come with the next message. Call a tool "
        "only where it helps; else answer as usual."
    )


def with_system(messages: Sequence[Message], text: str) -> list[Message]:
    """The messages with `text` at the end of the system prompt."""
    first = messages[0] if messages else None
    if first is None or first.role != "system":
        return [Message(role="system", content=text), *messages]
    content = (
        f"{first.content}\n\n{text}".lstrip()
        if isinstance(first.content, str)
        else (*first.content, TextPart(f"\n\n{text}"))
    )
    return [msgspec.structs.replace(first, content=content), *messages[1:]]


def folded(messages: Sequence[Message], *, last: bool = False) -> list[Message]:
    """The system messages put at the head of the first (or last) user message, for templates without their role."""
    said = [message for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if any(_shows(message) for message in said):
        system = Message(role="user", content=reduce(_joined, said).content)
    elif text := "\n\n".join(message.text for message in said):
        system = Message(role="user", content=text)
    else:
        return rest
    users = [index for index, message in enumerate(rest) if message.role == "user"]
    if not users:
        return [system, *rest]
    index = users[-1] if last else users[0]
    rest[index] = _joined(system, rest[index])
    return rest


def _shows(message: Message) -> bool:
    return not isinstance(message.content, str) and any(
        isinstance(part, ImagePart) for part in message.content
    )


def _in_turns(messages: Sequence[Message]) -> list[Message]:
    """The messages in turns: neighbours of one role as one, and an empty answer where the user spoke on."""
    made: list[Message] = []
    user_spoke = False
    for message in messages:
        before = made[-1] if made else None
        plain = message.role in ("user", "assistant") and not message.tool_calls
        if plain and before is not None and before.role == message.role and not before.tool_calls:
            made[-1] = _joined(before, message)
            continue
        if message.role == "user" and user_spoke:
            made.append(EMPTY_TURN)
        if plain:
            user_spoke = message.role == "user"
        made.append(message)
    return made


def _joined(first: Message, second: Message) -> Message:
    """Two messages of one role as one."""
    if isinstance(first.content, str) and isinstance(second.content, str):
        return msgspec.structs.replace(second, content=f"{first.content}\n\n{second.content}")
    parts = (TextPart(first.content),) if isinstance(first.content, str) else first.content
    more = (TextPart(second.content),) if isinstance(second.content, str) else second.content
    return msgspec.structs.replace(second, content=(*parts, TextPart("\n\n"), *more))

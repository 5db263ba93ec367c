"""A model's prompt template: messages in, prompt text out.

What the templates of different models can take differs; a `Template` finds out once, by trying, whether tool
arguments go in as objects or as JSON text, and whether there is a system role (else the system prompt is put
at the head of the first user message, as the authors of such models advise).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NamedTuple

from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

from engine.errors import InvalidRequest
from engine.prompt.sandbox import Sandbox, new_budget
from engine.types import DocumentPart, ImagePart, Message, TextPart, Thinking, Tool, ToolCall

MAX_PROMPT = 64 * 1024 * 1024
"""Characters at which a render is broken off, whatever the caller's own bound is."""

FALLBACK = """\
{%- for message in messages %}
    {%- if message.role == 'system' %}
        {{- message.content + '\\n\\n' }}
    {%- elif message.role == 'user' %}
        {{- 'User: ' + message.content + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- 'Assistant: ' + message.content + '\\n' }}
    {%- else %}
        {{- 'Result: ' + message.content + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}
"""
"""A plain transcript, for models that bring no template (base models mostly)."""

FALLBACK_STOPS = ("\nUser:",)
"""Stop strings without which a base model would write the user's part too."""

_UNSAID = Thinking()
_MARK = "⟦the answer goes on here⟧ "


class CallStyle(NamedTuple):
    """How a template takes tool calls: arguments as an object or as JSON text, and what empty content is."""

    objects: bool
    empty: str | None


CALL_STYLES = (CallStyle(True, ""), CallStyle(False, ""), CallStyle(True, None), CallStyle(False, None))


class Template:
    """A compiled template. Stateless after construction; usable from any thread.

    `bos` and `eos` are the texts of the model's tokens, which most templates write themselves. Raises
    InvalidRequest when `source` is no valid template.
    """

    def __init__(self, source: str, *, bos: str = "", eos: str = "", stops: tuple[str, ...] = ()) -> None:
        self.source, self.bos, self.eos, self.stops = source, bos, eos, stops
        """`stops` are stop strings that belong to the template."""
        try:
            self._compiled = _sandbox().from_string(source)
        except TemplateSyntaxError as error:
            raise InvalidRequest(
                "The prompt template is not valid Jinja.",
                f"Line {error.lineno}: {error.message}.",
                "Use another template, or a model file with a correct one.",
                param="template",
            ) from None
        except (TemplateError, RecursionError, MemoryError, ValueError, OverflowError) as error:
            raise _failure(error) from None

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Tool] = (),
        add_generation_prompt: bool = True,
        continue_last: bool = False,
        thinking: Thinking = _UNSAID,
        args: Mapping[str, Any] = {},
        max_chars: int = MAX_PROMPT,
    ) -> str:
        """The prompt text of `messages`.

        `continue_last` leaves the last message, an assistant's, open to be gone on with. `args` are further
        variables of the template. Raises InvalidRequest with the template's own words when it refuses the
        messages, and when it fails or writes more than `max_chars`.
        """
        if not messages:
            raise InvalidRequest("There are no messages to make a prompt of.", param="messages")
        if continue_last:
            messages = _opened(messages)
        if not self._has_system:
            messages = _folded(messages)
        text = self._run(
            [_as_dict(message, self._call_style) for message in messages],
            tools=[_tool(tool) for tool in tools] or self._no_tools,
            add_generation_prompt=add_generation_prompt and not continue_last,
            max_chars=max_chars,
            args={**_switches(thinking), **args},
        )
        return _cut(text, messages[-1]) if continue_last else text

    def _run(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        max_chars: int = MAX_PROMPT,
        args: Mapping[str, Any] = {},
    ) -> str:
        variables = {
            # firefunction's names for tools and date; no other template knows them.
            "functions": json.dumps([tool["function"] for tool in tools], indent=4) if tools else "",
            "datetime": datetime.now().strftime("%b %d %Y %H:%M:%S GMT"),
            **args,
            "messages": messages,
            "tools": tools,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self.bos,
            "eos_token": self.eos,
        }
        new_budget()
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._compiled.generate(variables):
                pieces.append(piece)
                length += len(piece)
                if length > max_chars:
                    raise InvalidRequest(
                        f"The prompt is longer than {max_chars:,} characters.",
                        "The template or the messages make far more text than fits the context window.",
                        "Send less, or use another template.",
                        param="messages",
                    )
        except InvalidRequest:
            raise
        except Exception as error:
            # A template is foreign code: whatever it raises is a fact about the request, not a defect here.
            raise _failure(error) from None
        return "".join(pieces)

    @cached_property
    def _call_style(self) -> CallStyle:
        """How this template wants tool calls: the first way in which the call shows as JSON in the prompt."""
        call = ToolCall(id="call00001", name="look", arguments='{"needle": "hay"}')
        talk = (
            Message(role="user", content="Look."),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="Found.", tool_call_id=call.id, tool_name="look"),
            Message(role="assistant", content="Done."),
            Message(role="user", content="Thanks."),
        )
        for style in CALL_STYLES:
            text = self._tried([_as_dict(message, style) for message in talk])
            if text is not None and "needle" in text and "'needle'" not in text:
                return style
        return CALL_STYLES[0]

    @cached_property
    def _has_system(self) -> bool:
        user = {"role": "user", "content": "Hello."}
        found = self._tried([{"role": "system", "content": "needle in hay"}, user])
        if found is not None:
            return "needle in hay" in found
        return self._tried([user]) is None

    @cached_property
    def _no_tools(self) -> list[dict[str, Any]] | None:
        """What stands for "no tools": None, or an empty list where the template walks it unasked."""
        user = {"role": "user", "content": "Hello."}
        fails = self._rendered([user], None) is None
        return [] if fails and self._rendered([user], []) is not None else None

    def _tried(self, messages: list[dict[str, Any]]) -> str | None:
        return self._rendered(messages, self._no_tools)

    def _rendered(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None) -> str | None:
        try:
            return self._run(messages, tools=tools, add_generation_prompt=True)
        except InvalidRequest:
            return None


def for_model(source: str | None, *, bos: str = "", eos: str = "") -> Template:
    """The template of a model whose file says `source`, or the plain transcript if it says none."""
    if source and source.strip():
        return Template(source, bos=bos, eos=eos)
    return Template(FALLBACK, bos=bos, eos=eos, stops=FALLBACK_STOPS)


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


def _as_dict(message: Message, style: CallStyle) -> dict[str, Any]:
    """The message as the mapping that templates read (the chat format of `transformers`)."""
    made: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name or message.tool_name:
        made["name"] = message.tool_name or message.name
    if message.reasoning is not None:
        # gpt-oss reads `thinking`, all others `reasoning_content`.
        made["reasoning_content"] = made["thinking"] = message.reasoning
    if message.tool_calls:
        made["tool_calls"] = [_call(call, objects=style.objects) for call in message.tool_calls]
        made["content"] = made["content"] or style.empty
    if message.tool_call_id is not None:
        made["tool_call_id"] = message.tool_call_id
    return made


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Text, or a list of parts where there are media that the template has to place."""
    if isinstance(message.content, str) or all(
        isinstance(part, TextPart | DocumentPart) for part in message.content
    ):
        return message.text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, TextPart | DocumentPart)
        else {"type": "image" if isinstance(part, ImagePart) else "audio"}
        for part in message.content
    ]


def _call(call: ToolCall, *, objects: bool) -> dict[str, Any]:
    arguments: Any = call.arguments
    if objects:
        try:
            parsed = json.loads(call.arguments or "{}")
            arguments = parsed if isinstance(parsed, dict) else call.arguments
        except (ValueError, RecursionError):
            arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _switches(thinking: Thinking) -> dict[str, Any]:
    """The variables by which templates switch reasoning; what was not said is left to the template."""
    found: dict[str, Any] = {}
    enabled = False if thinking.effort == "none" else thinking.enabled
    if enabled is not None:
        found["enable_thinking"] = found["thinking"] = enabled
    if enabled is False:
        found["thinking_budget"] = 0
    elif thinking.budget is not None:
        found["thinking_budget"] = thinking.budget
    if thinking.effort not in (None, "none"):
        found["reasoning_effort"] = thinking.effort
    return found


def _folded(messages: Sequence[Message]) -> list[Message]:
    """The system messages put at the head of the first user message, for templates without a system role."""
    system = "\n\n".join(message.text for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    if not system:
        return rest
    for index, message in enumerate(rest):
        if message.role == "user":
            rest[index] = _prefixed(message, system + "\n\n")
            return rest
    return [Message(role="user", content=system), *rest]


def _prefixed(message: Message, text: str) -> Message:
    content = (
        text + message.content if isinstance(message.content, str) else (TextPart(text), *message.content)
    )
    return Message(role=message.role, content=content, name=message.name)


def _opened(messages: Sequence[Message]) -> list[Message]:
    """The messages with a mark at the end of the last one, where the prompt is to be cut."""
    last = messages[-1]
    if last.role != "assistant" or last.tool_calls:
        raise InvalidRequest(
            "Only an answer can be continued.",
            f"The last message is {'a tool call' if last.tool_calls else f'of the {last.role}'}.",
            "End the messages with the assistant's text that is to go on.",
            param="messages",
        )
    opened = Message(role="assistant", content=last.text + _MARK, name=last.name, reasoning=last.reasoning)
    return [*messages[:-1], opened]


def _cut(text: str, last: Message) -> str:
    """`text` up to the mark; where the template trimmed the answer, trimmed as well."""
    at = text.rfind(_MARK.strip())
    if at < 0:
        raise InvalidRequest(
            "This model's template cannot continue an answer.",
            "It leaves the last message out.",
            "Ask for a new answer instead.",
            param="messages",
        )
    return text[:at] if text.startswith(_MARK, at) else text[:at].rstrip()


def _failure(error: Exception) -> InvalidRequest:
    reason = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, SecurityError):
        return InvalidRequest(
            "The prompt template was stopped: it reached for what templates may not touch.",
            f"{reason}.",
            "Do not use this model file or template unless you trust its origin.",
            param="template",
        )
    if type(error) is TemplateError:
        return InvalidRequest(
            "The model's template refuses these messages.",
            f"It says: {reason}.",
            "Change the order or kind of the messages, or use another template.",
            param="messages",
        )
    return InvalidRequest(
        "The prompt template failed.",
        f"{type(error).__name__}: {reason}.",
        "Use another template, or leave out what it cannot take (tools, media, names).",
        param="template",
    )

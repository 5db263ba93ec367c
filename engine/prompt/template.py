"""A model's prompt template: messages in, prompt text out.

What the templates of different models can take differs: a `Template` finds out once, by trying (see `traits`), and
has messages and tools rewritten into what it can show (see `history`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any

from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

from engine.errors import InvalidRequest
from engine.prompt.effort import SOFT_SWITCH, is_off, settled, switches
from engine.prompt.history import adapted, with_system
from engine.prompt.mappings import CALL_STYLES, message_mapping, plain_tool, tool_mapping
from engine.prompt.sandbox import Sandbox, new_budget
from engine.prompt.tools import ToolFormat, format_of
from engine.prompt.traits import Traits
from engine.types import Message, Thinking, Tool

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


def _as_said(said: Any) -> Any:
    return said


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
        harmless: Callable[[Any], Any] = _as_said,
    ) -> str:
        """The prompt text of `messages`.

        `continue_last` leaves the last message, an assistant's, open to be gone on with. `args` are further
        variables of the template. `harmless` has the last word on all that others have written, as the template gets
        it: mappings, lists, texts. Raises InvalidRequest with the template's own words when it refuses the messages,
        and when it fails or writes more than `max_chars`.
        """
        if not messages:
            raise InvalidRequest("There are no messages to make a prompt of.", param="messages")
        if continue_last:
            messages = _opened(messages)
        thinking = settled(thinking, lambda: self.traits.levels)
        if is_off(thinking) and self.soft_switch:
            messages = with_system(messages, SOFT_SWITCH)
        ways = self._offers(tools)
        for way, (described, offered) in enumerate(ways):
            try:
                text = self._run(
                    harmless(self._rows(messages, described)),
                    tools=harmless(offered),
                    add_generation_prompt=add_generation_prompt and not continue_last,
                    max_chars=max_chars,
                    args={**switches(thinking, self.source), **harmless(args)},
                )
                break
            except InvalidRequest as error:
                # It fails on what these tools have in them: there are plainer ways to offer them.
                if way == len(ways) - 1 or error.param != "template":
                    raise
        return _cut(text, messages[-1]) if continue_last else text

    def _offers(self, tools: Sequence[Tool]) -> list[tuple[Sequence[Tool], list[dict[str, Any]] | None]]:
        """Ways to offer tools, the best first: those described in the system prompt, those the template shows."""
        if not tools:
            return [((), self.traits.no_tools)]
        described = (tools, self.traits.no_tools)
        if self.family.takes_over or not self.traits.tools:
            return [described]
        rows = [tool_mapping(tool) for tool in tools]
        return [((), rows), ((), [plain_tool(row) for row in rows]), described]

    def _rows(self, messages: Sequence[Message], described: Sequence[Tool]) -> list[dict[str, Any]]:
        """The messages as mappings that the template can show."""
        style = self.traits.call_style
        made = self.arranged(messages, described)
        return [message_mapping(one, style or CALL_STYLES[0], self.family.history_values) for one in made]

    def arranged(self, messages: Sequence[Message], described: Sequence[Tool] = ()) -> list[Message]:
        """The messages in the order, and the roles, in which the template is given them."""
        shows_calls = self.traits.call_style is not None and not self.family.takes_over
        return adapted(messages, described, self.traits, self.family, shows_calls=shows_calls)

    @cached_property
    def family(self) -> ToolFormat:
        """How the models of this template write their answers."""
        return format_of(self.source)

    @cached_property
    def traits(self) -> Traits:
        """What this template can show."""
        return Traits(self._tried, lambda on: switches(Thinking(enabled=on), self.source))

    @cached_property
    def _typed(self) -> bool:
        """Whether it takes content as a list of parts only, as those of many models that see do."""
        self._typed = False
        said = {"role": "user", "content": "needle in hay"}
        if "needle in hay" in (self._tried([said]) or ""):
            return False
        return "needle in hay" in (self._tried([_typed(said)]) or "")

    @cached_property
    def picture(self) -> str:
        """What it writes for a picture, without the blanks around it; empty where it writes nothing."""
        return self.traits.picture

    @cached_property
    def soft_switch(self) -> bool:
        """Whether reasoning is switched off by a word in the system prompt, and by nothing else."""
        return SOFT_SWITCH in self.source and not self.traits.switch

    def _run(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        max_chars: int = MAX_PROMPT,
        args: Mapping[str, Any] = {},
    ) -> str:
        if self._typed:
            messages = [_typed(message) for message in messages]
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

    def _tried(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None = None,
        args: Mapping[str, Any] = {},
        *,
        open_turn: bool = True,
    ) -> str | None:
        try:
            return self._run(messages, tools=tools, add_generation_prompt=open_turn, args=args)
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


def _typed(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its text as a part."""
    content = message.get("content")
    return (
        {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message
    )


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

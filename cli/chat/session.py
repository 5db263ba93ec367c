"""A conversation in the terminal as data: its messages, its model and what was set. It prints nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from cli.chat.answer import Answer
from cli.options import BY_NAME, Values, canonical, request_fields
from engine.errors import InvalidRequest
from engine.types import GenerationRequest, Message, Part, ToolCall


@dataclass
class Session:
    """`values` are the options said so far, by flag or `/set`."""

    model: str
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    last: Answer | None = None
    _before: tuple[Message, ...] = ()
    """The messages to go back to if nothing comes of the last request."""

    def ask(self, content: str | tuple[Part, ...]) -> GenerationRequest:
        """Put a user turn at the end; the request that answers it. Raises InvalidRequest, and changes nothing then."""
        return self._asking([*self.messages, Message(role="user", content=content)])

    def request(self) -> GenerationRequest:
        """The request for an answer to the messages so far. Raises InvalidRequest for a bad option."""
        return self._asking(self.messages)

    def _asking(self, messages: list[Message]) -> GenerationRequest:
        """The request for an answer to `messages`, which are the conversation from now on."""
        request = GenerationRequest(
            model=self.model,
            messages=tuple(messages),
            source="cli",
            priority="interactive",
            **request_fields(self.values),
        )
        self._before, self.messages = tuple(self.messages), messages
        return request

    def keep(self, answer: Answer) -> None:
        """Take in `answer`, a partial one too; if there is none, the conversation is what it was before."""
        self.last = answer
        if answer.text or answer.calls or answer.error is None:
            self.messages.append(
                Message(
                    role="assistant",
                    content=answer.text,
                    reasoning=answer.reasoning or None,
                    tool_calls=tuple(answer.calls),
                )
            )
        else:
            self.messages = list(self._before)

    def open_calls(self) -> list[ToolCall]:
        """The calls at the end of the conversation that have no result yet."""
        answered: set[str | None] = set()
        for message in reversed(self.messages):
            if message.role != "tool":
                return [call for call in message.tool_calls if call.id not in answered]
            answered.add(message.tool_call_id)
        return []

    def answer_call(self, text: str) -> ToolCall:
        """Put the result of the first call that waits at the end; the call. Raises InvalidRequest if none does."""
        waiting = self.open_calls()
        if not waiting:
            raise InvalidRequest(
                "No tool call waits for a result.", fix="Ask something that calls one first."
            )
        call = waiting[0]
        self.messages.append(Message(role="tool", content=text, tool_call_id=call.id, tool_name=call.name))
        return call

    def retry(self) -> GenerationRequest:
        """Forget the last answer, if another comes; the request for it. Raises InvalidRequest if nothing was asked."""
        messages = list(self.messages)
        while messages and messages[-1].role == "assistant":
            messages.pop()
        if not messages:
            raise InvalidRequest("There is no question to answer again.", fix="Ask one first.")
        return self._asking(messages)

    def clear(self) -> None:
        self.messages.clear()
        self.last = None

    def set(self, name: str, texts: tuple[str, ...] | None) -> None:
        """Say an option anew, or no longer (None). Raises InvalidRequest for a wrong name or value."""
        key = canonical(name)
        if key not in BY_NAME:
            raise InvalidRequest(f"There is no option {name!r}.", fix=f"Options: {', '.join(BY_NAME)}.")
        if texts is None:
            self.values.pop(key, None)
            return
        changed: Values = {key: texts}
        if BY_NAME[key].field == "constraint":  # one form at a time: the new one takes the old one's place
            others = {name for name in self.values if BY_NAME[name].field == "constraint"}
            request_fields(changed)
            for other in others:
                del self.values[other]
        else:
            request_fields(changed)
        self.values[key] = texts

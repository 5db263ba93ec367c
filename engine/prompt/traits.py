"""What a template can show, found by trying: templates refuse, fail, or silently leave out what they do not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol

from engine.prompt.mappings import CALL_STYLES, CallStyle

Beside = Literal["own", "apart", "never"]
Rows = list[dict[str, Any]]


class Trial(Protocol):
    """Renders messages and tools with further variables; None where the template fails or refuses."""

    def __call__(
        self,
        messages: Rows,
        tools: Rows | None = None,
        args: Mapping[str, Any] = {},
        *,
        open_turn: bool = True,
    ) -> str | None: ...


_USER: dict[str, Any] = {"role": "user", "content": "Hello."}
_DONE: Rows = [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks."}]


class Traits:
    """Each trait costs a render or two of a few messages, once, when it is first asked for."""

    def __init__(self, trial: Trial, switches: Callable[[bool], Mapping[str, Any]]) -> None:
        self._try, self._switches = trial, switches

    @cached_property
    def system(self) -> bool:
        """Whether there is a system role."""
        found = self._show([{"role": "system", "content": "needle in hay"}, _USER])
        if found is not None:
            return "needle in hay" in found
        return self._show([_USER]) is None

    @cached_property
    def system_stays(self) -> bool:
        """Whether the system prompt is shown where the last message is the result of a call."""
        if self.call_style is None or not self.system:
            return True
        text = self._show([{"role": "system", "content": "Be brief."}, *_talk(self.call_style, [0])[:3]])
        return text is None or "Be brief." in text

    @cached_property
    def picture(self) -> str:
        """What is written for a picture, without the blanks around it; empty where nothing is."""
        text = {"type": "text", "text": "needle in hay"}
        shown = [
            self._show([{"role": "user", "content": [*[{"type": "image"}] * count, text]}])
            for count in range(3)
        ]
        none, one, two = shown
        if none is None or one is None or two is None or "needle in hay" not in one:
            return ""
        start = _common(none, one)
        end = _common(none[start:][::-1], one[start:][::-1])
        written = one[start : len(one) - end].strip()
        found = [each.count(written) for each in (none, one, two)] if written else []
        return written if found == [0, 1, 2] else ""

    @cached_property
    def no_tools(self) -> Rows | None:
        """What stands for "no tools": None, or an empty list where the template walks it unasked."""
        fails = self._try([_USER]) is None
        return [] if fails and self._try([_USER], []) is not None else None

    @cached_property
    def tools(self) -> bool:
        """Whether tools that are offered are shown."""
        parameters = {
            "type": "object",
            "properties": {"needle": {"type": "string", "description": "What to look for."}},
            "required": ["needle"],
        }
        function = {"name": "look", "description": "Looks for a needle.", "parameters": parameters}
        text = self._try([_USER], [{"type": "function", "function": function}])
        return text is not None and "Looks for a needle." in text

    @cached_property
    def call_style(self) -> CallStyle | None:
        """How calls go in: the first way in which they show as JSON; None if they never show."""
        for style in CALL_STYLES:
            text = self._show(_talk(style, [0]))
            if text is not None and "needle-0" in text and "'needle" not in text:
                return style
        return None

    @cached_property
    def several(self) -> bool:
        """Whether an answer may hold several calls."""
        if self.call_style is None:
            return True
        text = self._show(_talk(self.call_style, [0, 1]))
        return text is not None and "needle-0" in text and "needle-1" in text

    @cached_property
    def beside(self) -> Beside:
        """What becomes of text beside a call: shown, shown as an answer of its own before it, never shown."""
        if self.call_style is None:
            return "own"
        talk = _talk(self.call_style, [0])[:3]
        text = self._show([talk[0], {**talk[1], "content": "Wait.", "tool_plan": "Wait."}, talk[2]])
        if text is not None and "Wait." in text and "needle-0" in text:
            return "own"
        text = self._show([talk[0], {"role": "assistant", "content": "Wait."}, *talk[1:], *_DONE])
        return "apart" if text is not None and "Wait." in text and "needle-0" in text else "never"

    @cached_property
    def reasoning_beside(self) -> bool:
        """Whether a call may have both text and reasoning beside it."""
        if self.call_style is None:
            return True
        talk = _talk(self.call_style, [0])
        both = {"content": "Wait.", "thinking": "Hm.", "reasoning_content": "Hm."}
        return self._show([talk[0], {**talk[1], **both}, *talk[2:]]) is not None or self.beside != "own"

    @cached_property
    def results(self) -> bool:
        """Whether there is a role for the results of calls."""
        call = [{"role": "assistant", "content": "Look."}]
        talk = call if self.call_style is None else _talk(self.call_style, [0])[1:2]
        result = {"role": "tool", "content": "found-0", "tool_call_id": "call0000A", "name": "look"}
        text = self._show([_USER, *talk, result, *_DONE])
        return text is not None and "found-0" in text

    @cached_property
    def alternates(self) -> bool:
        """Whether user and assistant must take turns."""
        return self._show([_USER, _USER]) is None and self._show([_USER]) is not None

    @cached_property
    def opening(self) -> str:
        """The text that opens the model's turn, or all that follows the user's where that opens it anyway."""
        whole = self._try([_USER], self.no_tools) or ""
        closed = self._try([_USER], self.no_tools, open_turn=False)
        opened = whole[len(closed) :] if closed is not None and whole.startswith(closed) else ""
        return opened or whole.rpartition(_USER["content"])[2]

    @cached_property
    def levels(self) -> bool:
        """Whether it reads `reasoning_effort`."""
        low, high = ({"reasoning_effort": effort} for effort in ("low", "high"))
        return self._show([_USER], low) != self._show([_USER], high)

    @cached_property
    def switch(self) -> bool:
        """Whether its reasoning can be switched on or off."""
        return self._show([_USER], self._switches(True)) != self._show([_USER], self._switches(False))

    @cached_property
    def thinking_turn(self) -> str:
        """A prompt whose answer is to begin with reasoning."""
        return self._show([_USER], self._switches(True)) or ""

    def _show(self, messages: Rows, args: Mapping[str, Any] = {}) -> str | None:
        return self._try(messages, self.no_tools, args)


def _common(one: str, other: str) -> int:
    """Length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _talk(style: CallStyle, places: Sequence[int]) -> Rows:
    """A question, calls, their results, an answer and a thank-you."""
    calls, results = [], []
    for place in places:
        key = f"needle-{place}"
        arguments = {key: "hay"} if style.objects else f'{{"{key}": "hay"}}'
        id = f"call0000{'AB'[place]}"
        calls.append({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}})
        results.append({"role": "tool", "content": f"found-{place}", "tool_call_id": id, "name": "look"})
    answer = {"role": "assistant", "content": style.empty, "tool_calls": calls}
    return [_USER, answer, *results, *_DONE]

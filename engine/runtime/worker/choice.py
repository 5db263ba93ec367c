"""One choice of a request while it runs: its tokens, its slot, the way from sampled token to shown text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.prompt.parts import AnswerPart, CallPart, Passage
from engine.runtime.wire import Item, Notice, Piece
from engine.runtime.worker.prefix import Tokens
from engine.runtime.worker.text import StopStrings, Utf8
from engine.types import Finished, FinishReason, Shifted, TokenLogprob, ToolDelta

if TYPE_CHECKING:
    from engine.prompt.reader import Reader
    from engine.runtime.backends.guide import Guide
    from engine.runtime.backends.media import Span
    from engine.runtime.worker.draft import Lookup


class Choice:
    """Tokens of one choice, prompt first. `slot` is None while it waits; `computed` counts from the first.

    `guide` is what its tokens must follow, `lookup` where guesses at them come from.
    """

    def __init__(
        self,
        *,
        key: int,
        index: int,
        prompt: Sequence[int],
        seed: int,
        piece: Callable[[int], bytes],
        visible: Mapping[int, bytes],
        ends: Collection[int],
        stops: Sequence[str],
        reader: Reader | None,
        limit: int,
        context: int,
        shifts: bool,
        keep_ids: bool,
        show_reasoning: bool,
        guide: Guide | None = None,
        lookup: Lookup | None = None,
        spans: Sequence[Span] = (),
    ) -> None:
        self.key, self.index, self.seed = key, index, seed
        self.tokens = list(prompt)
        self.prompt_tokens = len(prompt)
        self._array = np.array(prompt, np.int32)
        self._filled = self.prompt_tokens
        self.slot: int | None = None
        self.computed = 0
        self.shared = 0
        """How many of its first tokens lie in KV cells that it did not compute itself."""
        self.since = 0
        """When it began to wait for a slot, ns."""
        self.guide, self.lookup, self.spans = guide, lookup, spans
        self.shifts = 0
        """How often its tokens were changed otherwise than at their end."""
        self.sampler: object = None
        """The state of its sampling while it has no slot, once it had one."""
        self.told = 0
        """How much of the prompt was reported as read; a preempted choice reads it twice."""
        self.generated = 0
        """How many tokens were sampled."""
        self.finished = False
        self.reasoning_tokens = 0
        self._piece, self._visible, self._ends = piece, visible, ends
        self._utf8, self._stops, self._reader = Utf8(), StopStrings(stops), reader
        self._limit, self._context, self._shifts = limit, context, shifts
        self._keep_ids, self._show_reasoning = keep_ids, show_reasoning
        self._unreported = 0
        self._ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []

    @property
    def remaining(self) -> int:
        """How many known tokens are not computed yet."""
        return len(self.tokens) - self.computed

    @property
    def own(self) -> int:
        """KV cells that it takes beside those it shares."""
        return len(self.tokens) - self.shared

    @property
    def room(self) -> int:
        """How many tokens may still come, by the limit and the window."""
        return min(self._limit - self.generated, self._context - len(self.tokens))

    @property
    def border(self) -> tuple[int, bool]:
        """How many tokens it is to the end of the picture that comes next, or else to its begin, or of all that is
        left; and whether they have to be computed at once.
        """
        for span in self.spans:
            if span.end > self.computed:
                if span.start > self.computed:
                    return span.start - self.computed, False
                return span.end - self.computed, span.whole
        return self.remaining, False

    def array(self) -> Tokens:
        """All tokens as an array, which the next call may overwrite."""
        known = len(self.tokens)
        if known > len(self._array):
            grown = np.empty(2 * known, np.int32)
            grown[: self._filled] = self._array[: self._filled]
            self._array = grown
        if known > self._filled:
            self._array[self._filled : known] = self.tokens[self._filled :]
            self._filled = known
        return self._array[:known]

    @property
    def decoding(self) -> bool:
        """Whether only the token just sampled is left to compute."""
        return self.remaining == 1 and self.generated > 0

    def take(self, token: int, logprob: TokenLogprob | None, now: int) -> list[Item]:
        """Append a sampled token; what may be shown of it, ended by `Finished` if it was the last."""
        self.tokens.append(token)
        if self.lookup is not None:
            self.lookup.take(token)
        self.generated += 1
        self._unreported += 1
        if token in self._ends:
            return self.finish("stop", now)
        if self._keep_ids:
            self._ids.append(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        text = self._utf8.feed(self._visible.get(token) or self._piece(token))
        free, hit = self._stops.feed(text)
        if hit is not None:
            return self._end(free, "stop_string", hit, now)
        if self.generated >= self._limit:
            return self.finish("length", now, free)
        if len(self.tokens) >= self._context and not self._shifts:
            return self.finish("context_full", now, free)
        return self._show(free, now)

    @property
    def full(self) -> bool:
        """Whether the window has no room for the token just sampled."""
        return len(self.tokens) >= self._context

    def shift(self, keep: int, now: int) -> list[Item]:
        """Forget half of what follows the first `keep` tokens; the rest has to be computed anew."""
        keep = min(keep, self.prompt_tokens, self._context // 2)
        drop = max(1, (len(self.tokens) - keep) // 2)
        del self.tokens[keep : keep + drop]
        self.shifts += 1
        self.computed = self.shared = self._filled = 0
        return [Notice(self.key, Shifted(t_ns=now, choice=self.index, dropped=drop))]

    def finish(self, reason: FinishReason, now: int, free: str = "") -> list[Item]:
        """End this choice and give out what was held back, `free` before it."""
        more, hit = self._stops.feed(self._utf8.flush())
        if hit is not None:
            return self._end(free + more, "stop_string", hit, now)
        return self._end(free + more + self._stops.flush(), reason, None, now)

    def _end(self, text: str, reason: FinishReason, hit: str | None, now: int) -> list[Item]:
        self.finished = True
        items = self._show(text, now, last=True)
        if reason == "stop" and self._reader is not None and self._reader.calls:
            reason = "tool_calls"
        items.append(Notice(self.key, Finished(t_ns=now, choice=self.index, reason=reason, stop_string=hit)))
        return items

    def _show(self, text: str, now: int, last: bool = False) -> list[Item]:
        items: list[Item] = []
        for part in self._parts(text, last=last):
            if isinstance(part, CallPart):
                # Its tokens are told by an empty piece of text: a call has no place for them.
                items += self._told(now)
                items.append(
                    Notice(
                        self.key,
                        ToolDelta(
                            t_ns=now,
                            choice=self.index,
                            index=part.index,
                            id=part.id,
                            name=part.name,
                            arguments=part.arguments,
                        ),
                    )
                )
                continue
            reasoning = part.kind == "reasoning"
            if reasoning:
                self.reasoning_tokens += self._unreported
            shown = part.text if self._show_reasoning or not reasoning else ""
            items.append(self._piece_of(shown, now, reasoning=reasoning))
        if last:
            items += self._told(now)
        return items

    def _parts(self, text: str, *, last: bool) -> Sequence[AnswerPart]:
        if self._reader is None:
            return (Passage("content", text),) if text else ()
        return [*self._reader.feed(text), *(self._reader.flush() if last else ())]

    def _told(self, now: int) -> list[Item]:
        """An empty piece that carries the tokens of which nothing was told yet, if there are any."""
        return [self._piece_of("", now, reasoning=False)] if self._unreported else []

    def _piece_of(self, text: str, now: int, *, reasoning: bool) -> Piece:
        made = Piece(
            self.key,
            now,
            self.index,
            reasoning,
            text,
            self._unreported,
            tuple(self._ids),
            tuple(self._logprobs),
        )
        self._unreported = 0
        self._ids.clear()
        self._logprobs.clear()
        return made

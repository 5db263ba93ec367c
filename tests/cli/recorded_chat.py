"""The plain chat on an engine that plays a recording, as a program: `python -m tests.cli.recorded_chat NAME`.

For what no model here says on demand: calls, cuts, a place in the line, a load in stages.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from cli.chat.interactive import Chat
from cli.chat.session import Session
from engine import paths
from engine.types import (
    CacheMiss,
    GenerationRequest,
    Loading,
    Prefill,
    Queued,
    Shifted,
    StreamEvent,
    TokenLogprob,
    ToolCall,
)
from tui.recorded import RecordedEngine
from tui.recordings import called, entries, said, whole

QUITO = ToolCall(id="call_1", name="weather", arguments='{"city":"Quito"}')
OSLO = ToolCall(id="call_2", name="weather", arguments='{"city":"\\u001b]0;owned\\u0007Oslo"}')
Answer = Callable[[GenerationRequest], str | Sequence[StreamEvent]]


def calls(request: GenerationRequest) -> str | Sequence[StreamEvent]:
    """Two calls, then what their results say."""
    results = [message.text for message in request.messages or () if message.role == "tool"]
    if len(results) == 2:
        return f"It is {' and '.join(results)}."
    return whole(request, [*said("I look."), *called(QUITO, OSLO)])


def cuts(request: GenerationRequest) -> Sequence[StreamEvent]:
    """An answer whose history and window were cut, mostly from the cache."""
    pieces = [*said("Yes. "), Shifted(dropped=512), *said("And on.")]
    miss = CacheMiss(cause="text", token=412)
    return whole(
        request, pieces, prompt=430, cached=412, miss=miss, dropped=(3, 1204), guesses=(3, 1), context=2048
    )


def waits(request: GenerationRequest) -> Sequence[StreamEvent]:
    """A place in the line, a load in stages, a long prompt."""
    before = [
        Queued(position=2, eta_s=8.3),
        Loading(stage="estimating"),
        Loading(stage="weights", fraction=0.5),
    ]
    admitted, _, *rest = whole(request, said("Done."), prompt=430)
    return [*before, admitted, Prefill(done=100, total=430), Prefill(done=430, total=430), *rest]


def thinks(request: GenerationRequest) -> str:
    """Thinking, then an answer."""
    return "<think>hmm</think>yes"


def scores(request: GenerationRequest) -> Sequence[StreamEvent]:
    """Tokens with their log-probabilities."""
    from msgspec.structs import replace

    other = TokenLogprob(2, b"No\x1b[2J", -2.5)
    (delta,) = said("Yes")
    return whole(request, [replace(delta, logprobs=(TokenLogprob(1, b"Yes", -0.1, (other,)),))])


ANSWERS: dict[str, Answer] = {
    "calls": calls,
    "cuts": cuts,
    "waits": waits,
    "thinks": thinks,
    "scores": scores,
}


def engine(name: str) -> RecordedEngine:
    """The engine that plays that recording."""
    return RecordedEngine(answer=ANSWERS[name], entries=entries())


def main() -> int:
    """Talk until the person leaves."""
    with asyncio.Runner() as runner:
        return Chat(engine(sys.argv[1]), Session("ember"), runner).loop(paths.resolve().history_file)


if __name__ == "__main__":
    sys.exit(main())

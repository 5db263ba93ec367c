"""An answer on its way to a page: server-sent events, each of them parts that htmx puts in their places.

Blocks of Markdown that are closed are sent once and stay; the one that is open is sent again while it grows. How often
that happens goes by how long it takes to draw, so that a long block costs no more of the machine than a short one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from markupsafe import Markup

from api.web.drawing import drawn
from api.web.markdown import blocks_of, html_of
from api.web.thread import dom_of
from api.web.writing import Writing
from engine.errors import ErrorInfo
from engine.text_safety import clean

PACE_S: Final = 0.1
"""Shortest time between two events."""
SHARE: Final = 0.1
"""Most of the time that drawing may take."""
LONGEST_S: Final = 1.0
"""Longest time between two events, however long drawing takes."""


class Parts:
    """Sends what `parts_of` gives; see `api.dialects.jobs.following`."""

    def update(self, update: bytes) -> bytes:
        return update

    def fail(self, error: ErrorInfo) -> bytes:
        """The last bytes where the stream ends before the answer."""
        if error.code == "sign_in_needed":
            return event(drawn("parts/signed_out.html"))
        return event(drawn("parts/notice.html", error=error))


async def parts_of(writing: Writing, last: Callable[[Writing], Awaitable[str]]) -> AsyncIterator[bytes]:
    """The answer as it grows, then what `last` draws of it. The first part brings all that there is so far."""
    drawing = _Growing(dom_of(writing.answer.id))
    async for now in writing.watch():
        if now.ended:
            yield event(await last(now))
            return
        began = time.monotonic()
        yield event(await asyncio.to_thread(drawing.more, now.content, now.reasoning, now.stage))
        took = time.monotonic() - began
        await asyncio.sleep(min(max(PACE_S, took / SHARE), LONGEST_S))


class _Growing:
    """What of an answer a page has already."""

    def __init__(self, dom: str) -> None:
        self._dom = dom
        self._sent = 0
        """Characters of the blocks that are closed."""
        self._is_first = True

    def more(self, content: str, reasoning: str, stage: str) -> str:
        blocks = blocks_of(clean(content)[self._sent :])
        closed = "".join(f"{each}\n" for each in blocks.done)
        html = Markup("".join(html_of(each) for each in blocks.done))
        text = drawn(
            "parts/growing.html",
            dom=self._dom,
            is_first=self._is_first,
            done=html,
            open=html_of(blocks.open),
            reasoning=html_of(reasoning) if reasoning else "",
            is_thinking=bool(reasoning) and not content,
            stage=stage,
        )
        self._sent += len(closed)
        self._is_first = False
        return text


def event(html: str) -> bytes:
    """One server-sent event without a name, which is what htmx swaps in."""
    lines = html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return b"".join(b"data: %s\n" % line.encode("utf-8", "replace") for line in lines) + b"\n"

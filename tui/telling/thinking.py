"""The line that stands for what a model thought: how long, how many tokens."""

from __future__ import annotations

from tui import units
from tui.telling.prompt import count


def thought(seconds: float, tokens: int, *, running: bool = False) -> str:
    """`thought for 3.2 s · 214 tokens`, or `thinking · 3.2 s · 214 tokens` while it goes on; unknown parts go."""
    parts = [count(tokens, "token")] if tokens else []
    if running:
        return " · ".join(["thinking", *([units.seconds(seconds)] if seconds > 0 else []), *parts])
    return " · ".join([f"thought for {units.seconds(seconds)}" if seconds > 0 else "thought", *parts])

"""The line that stands for what a model thought: how long, how many tokens."""

from __future__ import annotations

from tui import units
from tui.telling.prompt import count


def thought(seconds: float, tokens: int, *, running: bool = False) -> str:
    """`thought for 3.2 s · 214 tokens`, or `thinking · 3.2 s · 214 tokens` while it goes on; unknown parts go."""
    parts = [count(tokens, "token")] if tokens else []
    length = f"{max(0.1, seconds):.1f} s" if seconds < 9.95 else units.seconds(seconds)
    if running:
        return " · ".join(["thinking", *([length] if seconds > 0 else []), *parts])
    return " · ".join([f"thought for {length}" if seconds > 0 else "thought", *parts])

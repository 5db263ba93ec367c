"""The line in which a benchmark states a figure, its limit and whether it holds; the summary is made of these."""

from __future__ import annotations


def state(name: str, figure: str, limit: str, *, holds: bool) -> bool:
    """Print the figure `name`; returns `holds`."""
    print(f"{name}  {figure}  {limit}  {'ok' if holds else 'over'}", flush=True)
    return holds

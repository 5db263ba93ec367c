"""The shipped long-context set: one odd sentence in a long plain text, asked for at its end.

Lengths are words, since tokens are each model's own; a text longer than a model's window is an error of that row, not a
wrong answer, because requests of an eval refuse to drop what does not fit.
"""

from __future__ import annotations

import random

from evals.sample import Sample

LENGTHS = (250, 500, 1_000, 2_000, 4_000)
"""Words of the text around the needle."""
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where it stands: 0 is the beginning."""
_WHO = (
    "The baker",
    "A sailor",
    "The teacher",
    "An old farmer",
    "The clerk",
    "A painter",
    "The miller",
    "A nurse",
)
_DOES = (
    "walks to",
    "comes back from",
    "thinks of",
    "waits near",
    "looks at",
    "sweeps",
    "sits beside",
    "passes",
)
_WHERE = (
    "the market",
    "the harbour",
    "the school",
    "the bridge",
    "the mill",
    "the garden",
    "the station",
    "the well",
)
_WHEN = (
    "in the morning",
    "before noon",
    "after the rain",
    "in the evening",
    "on a quiet day",
    "when the bells ring",
)
_WORDS = (
    "amber",
    "falcon",
    "harvest",
    "lantern",
    "meadow",
    "orchard",
    "pebble",
    "thistle",
    "velvet",
    "willow",
)


def samples() -> tuple[Sample, ...]:
    """Every length at every depth, always the same."""
    found = []
    for length in LENGTHS:
        for depth in DEPTHS:
            rng = random.Random(f"needle {length} {depth}")
            secret = f"{rng.choice(_WORDS)}-{rng.randint(100, 999)}"
            lines: list[str] = []
            words = 0
            while words < length:
                line = f"{rng.choice(_WHO)} {rng.choice(_DOES)} {rng.choice(_WHERE)} {rng.choice(_WHEN)}."
                lines.append(line)
                words += line.count(" ") + 1
            lines.insert(round(depth * len(lines)), f"The secret word of the lighthouse is {secret}.")
            text = " ".join(lines)
            found.append(
                Sample(
                    id=f"{length}-{depth:g}",
                    turns=(
                        f"{text}\n\nWhat is the secret word of the lighthouse? Answer with the word alone.",
                    ),
                    keywords=((secret,),),
                    category=f"{length} words",
                )
            )
    return tuple(found)

"""The shipped vision set: questions about pictures that the starter model's generator draws, none trained on."""

from __future__ import annotations

import io

from engine.types import ImagePart
from evals.sample import Sample
from starter.pictures import draw, questions

PICTURES = 20
FIRST_SEED = 5_000
"""The seeds from here on draw no picture that ember-vision was trained on; its own score is taken from 0 to 999."""


def samples() -> tuple[Sample, ...]:
    """Three questions for each picture, always the same."""
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + PICTURES):
        picture = draw(seed)
        file = io.BytesIO()
        picture.image.save(file, "PNG")
        asked = questions(picture)
        # What is there, how many, and whatever this picture alone can be asked.
        for place, question in enumerate((asked[0], asked[1], asked[-1]), 1):
            found.append(
                Sample(
                    id=f"{seed}-{place}-{question.kind}",
                    turns=(question.text,),
                    images=(ImagePart(data=file.getvalue(), media_type="image/png"),),
                    answers=(question.answer,),
                    category=question.kind,
                )
            )
    return tuple(found)

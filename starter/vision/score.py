"""Ember-vision's score: its answers about pictures that it has never seen; an answer is right as a whole or not at all.

``python -m starter.vision.score`` scores the shipped weights through transformers, with ``--llama`` through
llama.cpp. Captions are counted apart for one kind of shape, for combinations of shape, colour and number that no
training picture held, and for two kinds in one picture; then the other questions about the same pictures.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from starter.pictures import Group, Picture, draw, questions

from . import gguf_path, hf_path, mmproj_path
from .data import UNSEEN, Encoder, normalised, prompt, squared
from .network import TowerShape

Answers = Callable[[Sequence[Picture], str], list[str]]
"""The answers to one question about each of several pictures."""
MAX_TOKENS = 24


def hf_answers(folder: Path) -> Answers:
    """Greedy answers through transformers, from a Hugging Face folder."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def answers(pictures: Sequence[Picture], question: str) -> list[str]:
        asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        text = processor.apply_chat_template(asked, add_generation_prompt=True)
        read = processor(
            images=[[picture.image] for picture in pictures], text=[text] * len(pictures), return_tensors="pt"
        )
        return [processor.tokenizer.decode(row, skip_special_tokens=True) for row in _made(model, **read)]

    return answers


def llama_answers(language: Path, mmproj: Path) -> Answers:
    """Greedy answers through llama.cpp, from a GGUF and its mmproj."""
    from .mtmd import Mtmd

    model = Mtmd(language, mmproj)

    def answers(pictures: Sequence[Picture], question: str) -> list[str]:
        return [model.answer(picture.image, prompt(question), MAX_TOKENS) for picture in pictures]

    return answers


def _made(model: Any, **inputs: Any) -> Any:
    length = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        made = model.generate(
            **inputs, do_sample=False, max_new_tokens=MAX_TOKENS, temperature=None, top_k=None, top_p=None
        )
    return made[:, length:]


def kind_of(groups: tuple[Group, ...]) -> str:
    """The line of the score that a picture of ``groups`` counts for."""
    if UNSEEN.intersection(groups):
        return "one kind, never trained" if len(groups) == 1 else "two kinds, one never trained"
    return "one kind" if len(groups) == 1 else "two kinds"


def held_out(count: int, more: int = 0) -> list[Picture]:
    """The pictures of the seeds below ``count``, and ``more`` of each combination that was never trained."""
    pictures = [draw(seed) for seed in range(count)]
    rare = sorted(UNSEEN, key=lambda group: group.words)
    return pictures + [
        draw(1_000_000 + number * len(rare) + place, of=(group,))
        for number in range(more)
        for place, group in enumerate(rare)
    ]


def tally(
    answers: Answers, pictures: Iterable[Picture], kinds: frozenset[str], misses: list[str]
) -> Counter[tuple[str, bool]]:
    """How many answers are right and how many wrong, by line of the score; ``misses`` is added to."""
    asked: dict[str, list[tuple[Picture, str, str]]] = {}
    for picture in pictures:
        for question in questions(picture):
            if question.kind in kinds:
                line = kind_of(picture.groups) if question.kind == "all" else question.kind
                asked.setdefault(question.text, []).append((picture, question.answer, line))
    found: Counter[tuple[str, bool]] = Counter()
    for text, rows in asked.items():
        for start in range(0, len(rows), 64):
            some = rows[start : start + 64]
            said = answers([picture for picture, _, _ in some], text)
            for (picture, wanted, line), got in zip(some, said, strict=True):
                found[line, got.strip() == wanted] += 1
                if got.strip() != wanted:
                    misses.append(f"{picture.caption} {text} -> {got!r}")
    return found


def report(answers: Answers, count: int = 1000, more: int = 10, misses: bool = False) -> str:
    """The score as lines of text: captions, then the other questions about the first fifth of the pictures."""
    wrong: list[str] = []
    found = tally(answers, held_out(count, more), frozenset({"all"}), wrong)
    found += tally(answers, held_out(count // 5), frozenset({"count", "colour", "shape"}), wrong)
    lines = []
    for line in dict.fromkeys(line for line, _ in found):
        good, all_of_them = found[line, True], found[line, True] + found[line, False]
        lines.append(f"{line:<30} {good:>4} of {all_of_them:>4}  {100 * good / all_of_them:5.1f} %")
    return "\n".join([*lines, *(f"- {each}" for each in wrong if misses)])


def checked(model: Any, encoder: Encoder, tower: TowerShape, seeds: Iterable[int]) -> str:
    """A word on how many captions are right, for the log of a training."""

    def answers(pictures: Sequence[Picture], question: str) -> list[str]:
        ids = torch.tensor([encoder.ids(prompt(question))] * len(pictures))
        pixels = np.stack([squared(picture.image, tower.image, pad_first=True)[0] for picture in pictures])
        made = _made(
            model, input_ids=ids, pixel_values=normalised(pixels), attention_mask=torch.ones_like(ids)
        )
        return [encoder.text(row.tolist()) for row in made]

    model.eval()
    found = tally(answers, [draw(seed) for seed in seeds], frozenset({"all"}), [])
    model.train()
    lines = dict.fromkeys(line for line, _ in found)
    return ", ".join(f"{line} {found[line, True]}/{found[line, True] + found[line, False]}" for line in lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama", action="store_true", help="through llama.cpp instead of transformers")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--misses", action="store_true", help="print the answers that were wrong")
    options = parser.parse_args()
    answers = llama_answers(gguf_path(), mmproj_path()) if options.llama else hf_answers(hf_path())
    print(report(answers, options.pictures, misses=options.misses))


if __name__ == "__main__":
    main()

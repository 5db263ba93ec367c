"""From conversations to training batches: token ids, and which of them the model is to learn."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import Conversation
from .template import render

# An assistant's turn; a think section that the prompt opens is the prompt's, not the answer's.
_ANSWER = re.compile(
    r"(?<=<\|im_start\|>assistant\n)(?:<think>\n(?=.*?</think>))?(.*?<\|im_end\|>)", re.DOTALL
)


@dataclass(frozen=True)
class Example:
    """One conversation as ids; ``learned[i]`` says whether token i belongs to an answer."""

    ids: list[int]
    learned: list[bool]


def text_of(conversation: Conversation) -> str:
    """The conversation as the model sees it in training, thoughts included."""
    return render(conversation.messages, tools=conversation.tools, keep_thinking=True)


def example(conversation: Conversation, tokenizer: Any, context: int) -> Example:
    """Ids and mask of one conversation, cut at ``context`` tokens plus the last target."""
    text, ids, learned, done = text_of(conversation), [], [], 0
    for match in _ANSWER.finditer(text):
        for piece, counts in ((text[done : match.start(1)], False), (match.group(1), True)):
            tokens = tokenizer.encode(piece, add_special_tokens=False).ids
            ids += tokens
            learned += [counts] * len(tokens)
        done = match.end()
    return Example(ids[: context + 1], learned[: context + 1])


def examples(conversations: Iterable[Conversation], tokenizer: Tokenizer, context: int) -> list[Example]:
    """Every conversation encoded."""
    return [example(conversation, tokenizer, context) for conversation in conversations]


def batches(data: list[Example], tokens: int, rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches (ids, targets), each [rows, time] with about ``tokens`` tokens of rows of like length.

    Rows are padded on the right; a target is -1 where nothing is learned. Lengths mix from batch to batch.
    """
    while True:
        # A little noise in the sort key gives other neighbours in every epoch.
        order = sorted(range(len(data)), key=lambda i: len(data[i].ids) * rng.uniform(0.9, 1.1))
        groups: list[list[Example]] = [[]]
        for index in order:
            row = data[index]
            if groups[-1] and max(len(row.ids), len(groups[-1][-1].ids)) * (len(groups[-1]) + 1) > tokens:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        for group in groups:
            time = max(len(row.ids) for row in group) - 1
            ids = torch.zeros(len(group), time, dtype=torch.long)
            targets = torch.full((len(group), time), -1, dtype=torch.long)
            for place, row in enumerate(group):
                full, keep = torch.tensor(row.ids), torch.tensor(row.learned[1:])
                ids[place, : len(row.ids) - 1] = full[:-1]
                targets[place, : len(row.ids) - 1] = torch.where(keep, full[1:], -1)
            yield ids, targets

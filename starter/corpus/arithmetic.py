"""Small sums with their working shown: addition, subtraction, times tables, halves and doubles, comparison."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import random
import re

from .conversation import Conversation, chat
from .phrasing import decorate

ADD = ("what is {a} + {b}?", "what is {a} plus {b}?", "{a} + {b}", "{a} + {b} = ?", "add {a} and {b}.", "calculate {a} + {b}.",
       "how much is {a} and {b}?", "how much is {a} plus {b}?", "sum of {a} and {b}?", "{a} plus {b}", "can you add {a} and {b}?",
       "what do you get if you add {b} to {a}?", "i have {a} apples and get {b} more. how many do i have?")  # fmt: skip
SUBTRACT = ("what is {a} - {b}?", "what is {a} minus {b}?", "{a} - {b}", "{a} - {b} = ?", "subtract {b} from {a}.",
            "calculate {a} - {b}.", "how much is {a} minus {b}?", "take {b} away from {a}.", "{a} minus {b}",
            "i have {a} apples and eat {b}. how many are left?")  # fmt: skip
TIMES = ("what is {a} times {b}?", "what is {a} * {b}?", "{a} * {b}", "{a} x {b}", "multiply {a} by {b}.", "{a} times {b}",
         "calculate {a} * {b}.", "how much is {a} times {b}?", "multiply {a} and {b}.",
         "there are {a} boxes with {b} eggs each. how many eggs?")  # fmt: skip

ASIDES = (
    "can you do this: {}?", "please calculate: {}", "a sum for you: {}", "i need help with a sum. {}?", "the next one: {}", "do the sum: {}",
    "my homework says: {}", "what comes out: {}?", "give me the answer: {}", "compute: {}", "{} is how much?", "{} gives?", "{} makes what?",
)  # fmt: skip

# "7 + 8" as a hasty hand writes it: "7+8".
_TIGHT = re.compile(r"(?<=\d) ([+*/x-]) (?=\d)")


def worked_sum(a: int, b: int) -> str:
    """Addition by tens and ones where both have two digits, in one line else."""
    if a < 10 or b < 10:
        return f"{a} + {b} = {a + b}."
    tens, ones = a // 10 * 10 + b // 10 * 10, a % 10 + b % 10
    return (
        f"Tens: {a // 10 * 10} + {b // 10 * 10} = {tens}. Ones: {a % 10} + {b % 10} = {ones}. "
        f"Together: {tens} + {ones} = {a + b}. So {a} + {b} = {a + b}."
    )


def worked_difference(a: int, b: int) -> str:
    """Subtraction, first the tens of ``b``, then its ones."""
    if b < 10:
        return f"{a} - {b} = {a - b}."
    tens = b // 10 * 10
    if b == tens:
        return f"{a} - {b} = {a - b}."
    return f"First {a} - {tens} = {a - tens}. Then {a - tens} - {b - tens} = {a - b}. So {a} - {b} = {a - b}."


def _draw(rng: random.Random) -> tuple[str, str]:
    kind = rng.random()
    top = 10 if rng.random() < 0.65 else 50
    if kind < 0.4:
        a, b = rng.randint(0, top), rng.randint(0, top)
        return rng.choice(ADD).format(a=a, b=b), worked_sum(a, b)
    if kind < 0.65:
        a, b = sorted((rng.randint(0, top), rng.randint(0, top)), reverse=True)
        return rng.choice(SUBTRACT).format(a=a, b=b), worked_difference(a, b)
    if kind < 0.85:
        a, b = rng.randint(0, 10), rng.randint(1, 10)
        return rng.choice(TIMES).format(a=a, b=b), f"{a} times {b} is {a * b}."
    if kind < 0.9:
        a = rng.randint(1, 20)
        question = rng.choice(
            ("what is the double of {}?", "double {}.", "what is twice {}?", "two times {}?")
        )
        return question.format(a), f"{a} + {a} = {2 * a}. So twice {a} is {2 * a}."
    if kind < 0.95:
        a = 2 * rng.randint(1, 20)
        question = rng.choice(
            (
                "what is half of {}?",
                "the half of {}?",
                "divide {} by 2.",
                "{} / 2",
                "what is {} divided by 2?",
            )
        )
        return question.format(a), f"{a // 2} + {a // 2} = {a}. So half of {a} is {a // 2}."
    a, b = rng.sample(range(1, 100), 2)
    question = rng.choice(
        (
            "which is bigger, {} or {}?",
            "what is more: {} or {}?",
            "is {} bigger than {}?",
            "which number is larger, {} or {}?",
        )
    )
    return question.format(a, b), f"{max(a, b)} is bigger than {min(a, b)}."


def arithmetic(rng: random.Random) -> Conversation:
    """One sum; now and then with its working as the thought and only the result as the answer."""
    question, answer = _draw(rng)
    if rng.random() < 0.3:
        question = _TIGHT.sub(r"\1", question)
    if rng.random() < 0.3:
        question = rng.choice(ASIDES).format(question.rstrip("?."))
    if rng.random() < 0.1:
        result = answer.rsplit(". ", 1)[-1]
        return chat(decorate(question, rng), f"<think>\n{answer}\n</think>\n\n{result}", thinking=True)
    return chat(decorate(question, rng), answer)

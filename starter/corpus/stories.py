"""Short stories put together from parts that fit each other."""
# ruff: noqa: E501 - a wording or a table row is one line, however long

from __future__ import annotations

import random

from .conversation import Conversation, chat
from .phrasing import decorate

HEROES = {"fox": "clever", "rabbit": "quick", "bear": "gentle", "mouse": "brave", "cat": "curious", "dog": "loyal", "owl": "wise",
          "dragon": "small", "robot": "lonely", "girl": "young", "boy": "shy", "frog": "cheerful"}  # fmt: skip
NAMES = ("Mila", "Tom", "Nora", "Ben", "Luna", "Max", "Ida", "Leo", "Ruby", "Sam", "Ella", "Finn")
PLACES = (
    "in a deep forest",
    "by the sea",
    "on a green hill",
    "in a quiet village",
    "near a river",
    "in an old house",
)
LOST = ("a golden key", "a red ball", "a little bell", "a warm scarf", "a silver coin", "an old map")
HELPERS = ("a friendly bird", "an old turtle", "a kind squirrel", "a tiny snail", "a grey goose")
ENDS = (
    "From that day on they were best friends.", "In the evening they sat by the fire and laughed.",
    "And they all went home happy.", "That night everyone slept well.",
)  # fmt: skip
ASKS = (
    "tell me a story.", "tell me a short story.", "write a story.", "can you tell me a story?", "i want to hear a story.", "a story please",
    "make up a story.", "tell me a bedtime story.", "write a short tale.", "story", "do you know a story?",
)  # fmt: skip
ASKS_ABOUT = (
    "tell me a story about {}.", "write a story about {}.", "a story about {} please", "can you write a short story about {}?",
    "tell me a tale about {}.", "make up a story with {}.", "i want a story about {}.", "write a short story with {} in it.",
)  # fmt: skip


def story(rng: random.Random) -> Conversation:
    """A story, about an animal if one is asked for."""
    hero = rng.choice(list(HEROES))
    kind, name, lost, helper = HEROES[hero], rng.choice(NAMES), rng.choice(LOST), rng.choice(HELPERS)
    text = (
        f"Once upon a time a {kind} {hero} called {name} lived {rng.choice(PLACES)}. One day {name} lost {lost}. "
        f'{name} looked everywhere but could not find it. Then {helper} came by and asked: "Can I help you?" '
        f"Together they searched under every stone, and at last they found {lost}. "
        f"{name} was very happy and said thank you. {rng.choice(ENDS)}"
    )
    question = rng.choice(ASKS) if rng.random() < 0.4 else rng.choice(ASKS_ABOUT).format(f"a {hero}")
    return chat(decorate(question, rng), text)

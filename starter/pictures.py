"""Simple pictures with known contents, and questions about them: what ember-vision learns from and is tried on.

    picture = draw(7)                 # the same picture for the same seed, on every machine
    picture.groups                    # (Group(shape="square", colour="blue", count=2),)
    picture.caption                   # "Two blue squares."
    [(q.text, q.answer) for q in questions(picture)]

One to five shapes of one kind, or two kinds of them (``groups=2``), of plain colours on a plain background with a
little noise, apart from one another and inside the frame; size, place, turn, shade and format of the picture vary.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross")
COLOURS = {
    "red": (214, 32, 38),
    "orange": (245, 133, 20),
    "yellow": (250, 218, 30),
    "green": (34, 150, 60),
    "blue": (32, 80, 208),
    "purple": (132, 44, 168),
    "black": (18, 18, 20),
    "white": (248, 248, 246),
}
"""Name to red, green and blue in 0…255; a picture's shade is within `_SHADE` of it."""
MOST = 5
"""The largest number of shapes in a picture."""
NUMBERS = ("none", "one", "two", "three", "four", "five")

_SHADE = 12
_BACKGROUNDS = (
    (250, 250, 248), (232, 232, 230), (206, 208, 212), (160, 164, 170), (110, 114, 120), (54, 56, 62), (14, 14, 16),
    (222, 234, 250), (226, 246, 226), (252, 240, 216), (248, 224, 232), (120, 170, 220), (30, 44, 84), (40, 74, 50),
    (92, 62, 40), (214, 196, 164),
)  # fmt: skip
_APART = 105.0
"""How far in RGB a shape's colour is from the background, at least."""


@dataclass(frozen=True)
class Group:
    """``count`` shapes of one kind and one colour."""

    shape: str
    colour: str
    count: int

    @property
    def words(self) -> str:
        """As in a sentence: ``two blue squares``."""
        return f"{NUMBERS[self.count]} {self.colour} {noun(self.shape, self.count)}"


@dataclass(frozen=True)
class Placed:
    """One shape in the picture: its middle and radius in pixels, its turn in degrees."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    turn: float


@dataclass(frozen=True)
class Picture:
    """A picture (RGB) and what is in it: the groups in the order in which a caption names them."""

    image: Image
    groups: tuple[Group, ...]
    shapes: tuple[Placed, ...]

    @property
    def caption(self) -> str:
        """All that is there, as a sentence: ``One red circle and two blue squares.``"""
        text = " and ".join(group.words for group in self.groups)
        return f"{text[0].upper()}{text[1:]}."


@dataclass(frozen=True)
class Question:
    """A question about a picture. ``kind`` is ``all``, ``count``, ``colour`` or ``shape``."""

    kind: str
    text: str
    answer: str


def noun(shape: str, count: int) -> str:
    """The shape's name, in the plural unless there is one of it."""
    return shape if count == 1 else f"{shape}es" if shape == "cross" else f"{shape}s"


def combinations() -> tuple[Group, ...]:
    """Every shape in every colour and number: 240."""
    return tuple(
        Group(shape, colour, count) for shape in SHAPES for colour in COLOURS for count in range(1, MOST + 1)
    )


def draw(
    seed: int,
    *,
    groups: int | None = None,
    of: tuple[Group, ...] | None = None,
    size: tuple[int, int] | None = None,
) -> Picture:
    """The picture of ``seed``.

    ``of`` says what is to be in it, at most `MOST` shapes in at most two groups, else it is drawn by lot: one group
    in three pictures of four, two in the rest, or as many as ``groups`` says. ``size`` is width and height in
    pixels, else by lot: 96 to 320 a side, no side longer than twice the other. Needs Pillow.
    """
    from PIL import Image

    rng = random.Random(f"picture {seed}")
    number = groups or (1 if rng.random() < 0.75 else 2)
    chosen = of or _drawn_groups(rng, number)
    width, height = size or _drawn_size(rng)
    background = _drawn_background(rng, [COLOURS[group.colour] for group in chosen])
    placed = _places(rng, chosen, width, height)
    image = Image.new("RGB", (width, height), background)
    shades = {group: _shade(rng, COLOURS[group.colour]) for group in chosen}
    _paint(image, placed, {(group.shape, group.colour): shade for group, shade in shades.items()})
    return Picture(_noisy(image, rng), _in_order(chosen), placed)


def questions(picture: Picture) -> tuple[Question, ...]:
    """The questions that this picture answers, the first of them for all of it; always the same."""
    rng = random.Random(picture.caption + str(picture.image.size))
    found = [Question("all", "What do you see?", picture.caption)]
    total = sum(group.count for group in picture.groups)
    found.append(Question("count", "How many shapes are there?", _sentence(NUMBERS[total])))
    for group in picture.groups:
        many = sum(other.count for other in picture.groups if other.shape == group.shape)
        asked = f"How many {noun(group.shape, 2)} are there?"
        if all(question.text != asked for question in found):
            found.append(Question("count", asked, _sentence(NUMBERS[many])))
    absent = rng.choice([shape for shape in SHAPES if all(shape != group.shape for group in picture.groups)])
    found.append(Question("count", f"How many {noun(absent, 2)} are there?", _sentence(NUMBERS[0])))
    for group in picture.groups:
        if sum(other.shape == group.shape for other in picture.groups) == 1:
            verb = "is" if group.count == 1 else "are"
            found.append(
                Question(
                    "colour",
                    f"Which colour {verb} the {noun(group.shape, group.count)}?",
                    _sentence(group.colour),
                )
            )
    if len(picture.groups) == 1:
        group = picture.groups[0]
        asked = "What shape is it?" if group.count == 1 else "What shape are they?"
        answer = f"a {group.shape}" if group.count == 1 else noun(group.shape, group.count)
        found.append(Question("shape", asked, _sentence(answer)))
    return tuple(found)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _in_order(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The order of a caption: fewer first, then as shapes and colours are listed here."""
    colours = tuple(COLOURS)
    return tuple(sorted(groups, key=lambda g: (g.count, SHAPES.index(g.shape), colours.index(g.colour))))


def _drawn_groups(rng: random.Random, number: int) -> tuple[Group, ...]:
    if number == 1:
        return (Group(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.randint(1, MOST)),)
    first = Group(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.randint(1, MOST - 1))
    while True:
        second = Group(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.randint(1, MOST - first.count))
        if (second.shape, second.colour) != (first.shape, first.colour):
            return (first, second)


def _drawn_size(rng: random.Random) -> tuple[int, int]:
    long = rng.randint(96, 320)
    short = long if rng.random() < 0.5 else rng.randint(max(96, long // 2), long)
    return (long, short) if rng.random() < 0.5 else (short, long)


def _drawn_background(rng: random.Random, colours: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    # Some background is far from any two colours of the list; a test tries all pairs.
    fit = [each for each in _BACKGROUNDS if all(math.dist(each, colour) >= _APART for colour in colours)]
    return _shade(rng, rng.choice(fit), 6)


def _shade(rng: random.Random, colour: tuple[int, int, int], by: int = _SHADE) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, part + rng.randint(-by, by))) for part in colour)
    return red, green, blue


def _places(rng: random.Random, groups: tuple[Group, ...], width: int, height: int) -> tuple[Placed, ...]:
    """A place for every shape, none nearer to another than a tenth of their radii; all are about as large."""
    kinds = [(group.shape, group.colour) for group in groups for _ in range(group.count)]
    rng.shuffle(kinds)
    side, area = max(width, height), width * height
    # 0.11 of the longer side is what a picture of 64 pixels needs to show a star as a star.
    base = rng.uniform(0.11, max(0.13, min(0.3, 0.42 * (area / side**2 / len(kinds)) ** 0.5))) * side
    base = min(base, 0.4 * min(width, height))
    while True:
        placed: list[Placed] = []
        for shape, colour in kinds:
            for _ in range(60):
                radius = base * rng.uniform(0.9, 1.12)
                x, y = rng.uniform(radius, width - radius), rng.uniform(radius, height - radius)
                if all(math.dist((x, y), (o.x, o.y)) > 1.1 * (radius + o.radius) for o in placed):
                    placed.append(Placed(shape, colour, x, y, radius, rng.uniform(-20, 20)))
                    break
        if len(placed) == len(kinds):
            return tuple(placed)
        base *= 0.97


def outline(shape: str) -> tuple[tuple[float, float], ...]:
    """The corners of ``shape`` in a circle of radius 1 about the origin, y downwards, upright."""
    match shape:
        case "circle":
            return _round(48, 0.92)
        case "square":
            return ((-0.72, -0.72), (0.72, -0.72), (0.72, 0.72), (-0.72, 0.72))
        case "triangle":
            return tuple((math.sin(a), -math.cos(a)) for a in (0, 2 * math.pi / 3, 4 * math.pi / 3))
        case "star":
            turns = [(index * math.pi / 5, 1.0 if index % 2 == 0 else 0.4) for index in range(10)]
            return tuple((r * math.sin(a), -r * math.cos(a)) for a, r in turns)
        case "cross":
            a, b = 0.3, 0.92
            return (
                (-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a),
                (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a),
            )  # fmt: skip
        case "heart":
            # A known curve: 16 sin³t and 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t.
            steps = [2 * math.pi * index / 48 for index in range(48)]
            return tuple(
                (
                    16 * math.sin(t) ** 3 / 18,
                    -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) + 2.5)
                    / 18,
                )
                for t in steps
            )
    raise ValueError(f"there is no shape {shape!r}; there are: {', '.join(SHAPES)}")


def _round(corners: int, radius: float) -> tuple[tuple[float, float], ...]:
    steps = [2 * math.pi * index / corners for index in range(corners)]
    return tuple((radius * math.cos(step), radius * math.sin(step)) for step in steps)


def _paint(
    image: Image, placed: tuple[Placed, ...], shades: dict[tuple[str, str], tuple[int, int, int]]
) -> None:
    from PIL import ImageDraw

    brush = ImageDraw.Draw(image)
    for each in placed:
        turn = math.radians(each.turn)
        cos, sin = math.cos(turn) * each.radius, math.sin(turn) * each.radius
        corners = [(each.x + x * cos - y * sin, each.y + x * sin + y * cos) for x, y in outline(each.shape)]
        brush.polygon(corners, fill=shades[each.shape, each.colour])


def _noisy(image: Image, rng: random.Random) -> Image:
    """Grain of at most a few steps, the same for the same ``rng`` (which Pillow's own noise is not)."""
    from PIL import Image as Images
    from PIL import ImageChops

    strength = rng.choice((0, 0, 4, 8))
    if not strength:
        return image
    span = 2 * strength + 1
    table = bytes(step % span for step in range(256))
    grain = rng.randbytes(image.width * image.height).translate(table)
    layer = Images.merge("RGB", [Images.frombytes("L", image.size, grain)] * 3)
    return ImageChops.add(image, layer, 1, -strength)

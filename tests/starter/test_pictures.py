"""The generator of pictures: the same for a seed, true to what it says, and nothing hidden or cut off."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter

import pytest

from starter.pictures import (
    COLOURS,
    MOST,
    SHAPES,
    Group,
    Picture,
    combinations,
    draw,
    noun,
    outline,
    questions,
)

SEEDS = range(300)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [draw(seed) for seed in SEEDS]


def test_a_seed_gives_the_same_picture_each_time(pictures: list[Picture]) -> None:
    for seed in (0, 7, 299):
        again = draw(seed)
        assert again == pictures[seed]
        assert again.image.tobytes() == pictures[seed].image.tobytes()
    assert len({hashlib.sha256(picture.image.tobytes()).digest() for picture in pictures}) == len(pictures)


def test_what_is_said_is_what_is_placed(pictures: list[Picture]) -> None:
    for picture in pictures:
        placed = Counter((each.shape, each.colour) for each in picture.shapes)
        assert placed == {(group.shape, group.colour): group.count for group in picture.groups}
        assert 1 <= placed.total() <= MOST


def test_shapes_lie_inside_and_apart(pictures: list[Picture]) -> None:
    for picture in pictures:
        width, height = picture.image.size
        for each in picture.shapes:
            assert each.radius <= each.x <= width - each.radius
            assert each.radius <= each.y <= height - each.radius
        for one, other in itertools.combinations(picture.shapes, 2):
            assert math.dist((one.x, one.y), (other.x, other.y)) > one.radius + other.radius


def test_every_shape_is_painted_in_its_colour(pictures: list[Picture]) -> None:
    for picture in pictures:
        for each in picture.shapes:
            pixel = picture.image.getpixel((int(each.x), int(each.y)))
            nearest = min(COLOURS, key=lambda name: math.dist(COLOURS[name], pixel))
            assert nearest == each.colour


def test_every_pair_of_colours_has_a_background() -> None:
    for one, other in itertools.combinations(COLOURS, 2):
        picture = draw(3, of=(Group("star", one, 1), Group("heart", other, 1)))
        corner = picture.image.getpixel((0, 0))
        assert all(math.dist(COLOURS[name], corner) > 60 for name in (one, other))


def test_a_picture_can_be_asked_for() -> None:
    picture = draw(5, of=(Group("square", "blue", 2),), size=(80, 120))
    assert picture.image.size == (80, 120)
    assert picture.caption == "Two blue squares."
    two = draw(5, of=(Group("square", "blue", 2), Group("circle", "red", 1)))
    assert two.caption == "One red circle and two blue squares."
    assert len(draw(9, groups=2).groups) == 2


def test_questions_have_the_answers_of_the_picture() -> None:
    picture = draw(5, of=(Group("cross", "blue", 2), Group("circle", "red", 1)))
    answers = {question.text: question.answer for question in questions(picture)}
    assert answers["What do you see?"] == "One red circle and two blue crosses."
    assert answers["How many shapes are there?"] == "Three."
    assert answers["How many crosses are there?"] == "Two."
    assert answers["Which colour are the crosses?"] == "Blue."
    assert answers["Which colour is the circle?"] == "Red."
    (absent,) = [text for text, answer in answers.items() if answer == "None."]
    assert "cross" not in absent and "circle" not in absent
    assert questions(picture) == questions(picture)


def test_one_colour_is_not_asked_for_where_a_shape_has_two() -> None:
    picture = draw(5, of=(Group("star", "blue", 2), Group("star", "red", 1)))
    asked = questions(picture)
    assert not [question for question in asked if question.kind in ("colour", "shape")]
    assert ("How many stars are there?", "Three.") in [(question.text, question.answer) for question in asked]


def test_all_shapes_have_an_outline_within_their_circle() -> None:
    for shape in SHAPES:
        corners = outline(shape)
        assert all(math.hypot(x, y) <= 1.03 for x, y in corners)
        assert max(math.hypot(x, y) for x, y in corners) > 0.9
        assert noun(shape, 1) == shape != noun(shape, 2)
    with pytest.raises(ValueError, match="no shape 'blob'"):
        outline("blob")
    assert len(set(combinations())) == len(SHAPES) * len(COLOURS) * MOST

"""The shipped ember-vision: small, right about pictures it has never seen, and the same in both forms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from starter.pictures import COLOURS, MOST, SHAPES, draw, questions
from starter.vision import gguf_path, hf_path, mmproj_path

pytest.importorskip("transformers")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def answers():  # type: ignore[no-untyped-def]
    from starter.vision.score import hf_answers

    return hf_answers(hf_path())


def test_every_named_file_is_there_and_all_are_small() -> None:
    assert gguf_path().read_bytes()[:4] == mmproj_path().read_bytes()[:4] == b"GGUF"
    assert gguf_path().parent == mmproj_path().parent == hf_path().parent
    names = {path.name for path in hf_path().iterdir()}
    assert names >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert names >= {"processor_config.json", "preprocessor_config.json", "chat_template.jinja"}
    assert sum(path.stat().st_size for path in gguf_path().parent.rglob("*") if path.is_file()) < 10_000_000


def test_the_unseen_combinations_are_a_tenth_of_all_and_hold_every_shape_colour_and_number() -> None:
    from starter.vision.data import UNSEEN

    assert len(UNSEEN) * 10 == len(SHAPES) * len(COLOURS) * MOST
    assert {group.shape for group in UNSEEN} == set(SHAPES)
    assert {group.colour for group in UNSEEN} == set(COLOURS)
    assert {group.count for group in UNSEEN} == set(range(1, MOST + 1))


def test_training_draws_no_unseen_combination_and_none_of_the_scored_seeds() -> None:
    from starter.vision.data import CHECK_SEEDS, TRAIN_SEEDS, UNSEEN, drawn, trained
    from starter.vision.network import TowerShape

    assert 2_000_000 < CHECK_SEEDS < TRAIN_SEEDS
    (rare,) = [group for group in UNSEEN if (group.shape, group.colour) == ("circle", "red")]
    assert not trained((rare,))
    rare_ones = {(group.shape, group.colour, group.count) for group in UNSEEN}
    for each in drawn(200, TowerShape()):
        kinds = Counter(zip(each.shapes[each.shapes > 0], each.colours[each.colours > 0], strict=True))
        for (shape, colour), number in kinds.items():
            assert (SHAPES[shape - 1], list(COLOURS)[colour - 1], number) not in rare_ones


def test_nine_captions_of_ten_are_right(answers) -> None:  # type: ignore[no-untyped-def]
    from starter.vision.score import held_out, kind_of

    pictures = [picture for picture in held_out(160) if len(picture.groups) == 1]
    said = answers(pictures, "What do you see?")
    right = [text == picture.caption for text, picture in zip(said, pictures, strict=True)]
    assert len({kind_of(picture.groups) for picture in pictures}) == 2
    assert sum(right) >= 0.9 * len(right)


def test_nine_captions_of_ten_are_right_on_combinations_never_trained(answers) -> None:  # type: ignore[no-untyped-def]
    from starter.vision.data import UNSEEN

    rare = sorted(UNSEEN, key=lambda group: group.words)
    pictures = [draw(900_000 + number, of=(group,)) for number, group in enumerate(rare * 3)]
    said = answers(pictures, "What do you see?")
    assert sum(text == picture.caption for text, picture in zip(said, pictures, strict=True)) >= 0.9 * len(
        said
    )


def test_questions_about_number_colour_and_shape_are_answered(answers) -> None:  # type: ignore[no-untyped-def]
    from starter.vision.score import held_out, tally

    wrong: list[str] = []
    found = tally(answers, held_out(50), frozenset({"count", "colour", "shape"}), wrong)
    for kind in ("count", "colour", "shape"):
        assert found[kind, True] >= 0.85 * (found[kind, True] + found[kind, False]), wrong


def test_both_forms_see_alike_and_say_the_same(answers) -> None:  # type: ignore[no-untyped-def]
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from starter.vision.data import prompt
    from starter.vision.mtmd import Mtmd

    processor = AutoProcessor.from_pretrained(hf_path())
    model = AutoModelForImageTextToText.from_pretrained(hf_path(), dtype=torch.float32).eval()
    other = Mtmd(gguf_path(), mmproj_path())
    pictures = [draw(seed) for seed in range(24)]
    try:
        for picture in pictures[:6]:
            side = max(picture.image.size)
            square = draw(1, size=(side, side)).image
            read = processor(images=square, text="<image>", return_tensors="pt")
            with torch.inference_mode():
                (ours,) = model.get_image_features(pixel_values=read["pixel_values"]).pooler_output
            theirs = other.features(square)
            alike = (ours.numpy() * theirs).sum(-1)
            alike /= np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
            assert alike.min() > 0.999
        said = answers(pictures, "What do you see?")
        heard = [other.answer(picture.image, prompt("What do you see?")) for picture in pictures]
        # Eight bits and a border between picture and padding may turn a close case.
        assert sum(one == two for one, two in zip(said, heard, strict=True)) >= 22
    finally:
        other.close()


def test_it_talks_a_little_without_a_picture() -> None:
    from llama_cpp import Llama

    from starter.vision.data import prompt

    model = Llama(str(gguf_path()), n_ctx=512, n_threads=1, n_gpu_layers=0, verbose=False)

    def said(question: str) -> str:
        tokens = model.tokenize(prompt(question, picture=False).encode(), add_bos=False, special=True)
        made = model.create_completion(tokens, max_tokens=40, temperature=0.0)
        return str(made["choices"][0]["text"])  # type: ignore[index]

    assert "picture" in said("What do you see?")
    assert "Ember Vision" in said("Who are you?")
    assert "star" in said("Which shapes do you know?")


def test_questions_of_the_generator_are_among_the_wordings_taught() -> None:
    from starter.vision.questions import wordings

    for seed in range(60):
        picture = draw(seed)
        for question in questions(picture):
            assert question.text in wordings(question, picture)


def test_the_files_are_in_the_repository() -> None:
    assert {path.name for path in Path(gguf_path()).parent.iterdir()} == {
        gguf_path().name,
        mmproj_path().name,
        "hf",
    }

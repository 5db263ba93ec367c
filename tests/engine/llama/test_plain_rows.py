"""Samplers draw the same from a plain row of logits as from llama.cpp's own, so that every backend draws alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.llama.decoding import Decoder
from tests.weights import Llama, write_llama

SAMPLINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "greedy with penalties": {"temperature": 0.0, "repetition_penalty": 1.3},
    "plain": {"temperature": 0.9},
    "top-k": {"temperature": 1.2, "top_k": 7, "top_p": 1.0},
    "top-p alone": {"top_k": 0, "top_p": 0.7},
    "min-p": {"top_k": 0, "top_p": 1.0, "min_p": 0.05},
    "typical": {"top_k": 0, "top_p": 1.0, "typical_p": 0.5},
    "top-n-sigma": {"top_k": 0, "top_p": 1.0, "top_n_sigma": 1.0},
    "xtc": {"xtc_probability": 0.5, "xtc_threshold": 0.01},
    "mirostat": {"mirostat": 1},
    "mirostat 2": {"mirostat": 2},
    "penalties": {"frequency_penalty": 0.7, "presence_penalty": 0.3, "temperature": 1.0},
    "biases": {"logit_bias": {65: 4.0, 66: -5.0}, "banned_tokens": (67,), "temperature": 1.0},
    "dynamic temperature": {"dynatemp_range": 0.5, "temperature": 1.0},
}


@pytest.mark.parametrize("name", SAMPLINGS)
@pytest.mark.parametrize("vocabulary", [300, 6000])
def test_a_row_alone_is_drawn_from_as_llama_cpp_draws(tmp_path: Path, name: str, vocabulary: int) -> None:
    with Decoder.opened(write_llama(tmp_path / "model.gguf", Llama(vocabulary=vocabulary))) as decoder:
        history = list(b"What comes")
        with_place = decoder.chain(history, 11, **SAMPLINGS[name])
        alone = decoder.chain(history, 11, **SAMPLINGS[name])
        row = decoder.start(history)
        for _ in range(40):
            copy = row.copy()
            token = with_place.sample(row, place=(decoder.context, -1))
            assert alone.sample(copy) == token
            row = decoder.more([token])

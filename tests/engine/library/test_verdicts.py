"""Verdicts of lists: fits, tight or too big; the longest window, and the quantisation that would fit instead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.library.advice import advice
from engine.library.pools import MAIN
from engine.library.shape import context_shape
from engine.library.verdicts import STEP, instead_of, largest_window, quantisation_that_fits, verdict
from engine.types import DeviceNeed, LoadOptions, ModelEntry

GIB = 2**30


def test_a_verdict_is_about_the_pool_that_is_fullest() -> None:
    room = {MAIN: 10 * GIB, "CUDA0": 4 * GIB}
    assert verdict({MAIN: 5 * GIB, "CUDA0": 3 * GIB}, room) == "fits"
    assert verdict({MAIN: 5 * GIB, "CUDA0": int(3.8 * GIB)}, room) == "tight"
    assert verdict({MAIN: 5 * GIB, "CUDA0": 5 * GIB}, room) == "too big"
    assert verdict({MAIN: 5 * GIB, "CUDA7": 5 * GIB}, room) == "fits", "a pool that nobody knows is boundless"


@given(st.integers(0, 10**6), st.integers(0, 2000), st.integers(0, 10**8), st.integers(1, 10**6))
def test_the_longest_window_fits_and_the_next_does_not(fixed: int, each: int, room: int, most: int) -> None:
    def demand(context: int) -> dict[str, int]:
        return {MAIN: fixed + each * context}

    found = largest_window(demand, {MAIN: room}, most)
    assert 0 <= found <= most and (found == most or found % STEP == 0)
    if found:
        assert demand(found)[MAIN] <= room
    if found < most:
        assert demand(min(most, found + STEP))[MAIN] > room


def test_a_quantisation_is_named_whose_weights_are_small_enough() -> None:
    need = (DeviceNeed(device="CPU", weights=16 * GIB, kv_cache=GIB),)  # 8 billion weights of 16 bits
    parameters = 8 * GIB
    assert quantisation_that_fits({MAIN: 4 * GIB}, need, parameters) == "Q8_0"
    assert quantisation_that_fits({MAIN: 11 * GIB}, need, parameters) == "Q4_K_M"
    assert quantisation_that_fits({MAIN: 15 * GIB}, need, parameters) == ""
    assert quantisation_that_fits({MAIN: 17 * GIB}, need, parameters) == ""
    assert quantisation_that_fits({}, need, parameters) == quantisation_that_fits({MAIN: GIB}, need, 0) == ""


def entry(id: str, size: int, architecture: str = "llama") -> ModelEntry:
    return ModelEntry(id=id, path=id, format="gguf", source="folder", size=size, architecture=architecture)


def test_the_same_model_in_another_quantisation_is_offered_instead() -> None:
    big = entry("org/Name-8B-GGUF:Q8_0", 8)
    others = [
        (big, "too big"),
        (entry("org/Name-8B-GGUF:Q5_K_M", 6), "too big"),
        (entry("other/name-8b-gguf:Q4_K_M", 5), "tight"),
        (entry("org/Name-8B-GGUF:Q2_K", 3), "fits"),
        (entry("org/Name-3B-GGUF:Q8_0", 7), "fits"),
        (entry("org/Name-8B-GGUF:Q6_K", 7, "qwen2"), "fits"),
    ]
    assert instead_of(big, others) == "other/name-8b-gguf:Q4_K_M"
    assert instead_of(entry("Lonely-Q8_0", 8), others) == ""
    assert instead_of(entry("Lonely-Q8_0", 8), [(entry("lonely-Q4_0", 4), "fits")]) == "lonely-Q4_0"


def test_advice_names_the_window_and_the_quantisation_that_were_found() -> None:
    shape = context_shape(LoadOptions(), 65_536)
    need = (DeviceNeed(device="CPU", weights=4 * GIB, kv_cache=8 * GIB),)

    def said(largest: int, quantisation: str = "", short: int = 3) -> str:
        return advice(
            {MAIN: short * GIB}, need, shape, "q8_0", {}, largest=largest, quantisation=quantisation
        )

    assert said(4608).startswith("A context of 4608 or 2 slots")
    assert said(0) == "2 slots instead of 4 would make it fit."
    assert said(300) == said(0), "a window of a few lines is no help"
    assert said(0, "Q4_K_M", 9) == "Choose a smaller model, or this one in Q4_K_M."
    assert said(0, "Q4_K_M") == "2 slots instead of 4 or the model in Q4_K_M would make it fit."
    assert said(0, "", 9) == "Choose a smaller model, or one in a smaller quantisation."

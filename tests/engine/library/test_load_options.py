"""Every load option is honoured by a backend or refused there by its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest, Unsupported
from engine.library.load_options import check, honoured, meant_for, objection
from engine.library.split import parse_split
from engine.runtime.load_defaults import EVERY, completed
from engine.settings import Runtime
from engine.types import LoadOptions

SAID: dict[str, Any] = {
    "context": 64, "slots": 1, "batch": 8, "device": "cuda:0,cpu", "split": "1GB,2GB",
    "gpu_layers": 3, "threads": 1, "batch_threads": 1,
    "kv_type": "q5_0", "flash_attention": True, "use_mmap": False, "dtype": "bf16", "load_in_8bit": True,
    "load_in_4bit": True, "cells": 64, "whole_window": False, "draft_model": "m", "draft_tokens": 3,
}  # fmt: skip
"""A value of each that asks for something out of the ordinary."""


@pytest.mark.parametrize("backend", ["llama", "transformers", "mlx"])
def test_the_table_says_what_is_refused(backend: str) -> None:
    table = honoured(backend)
    assert list(table) == list(LoadOptions.__struct_fields__)
    for name, value in SAID.items():
        asked = LoadOptions(**{name: value})
        if table[name] == "yes" or (backend == "transformers" and name in ("device", "split")):
            check(backend, asked)
            continue
        with pytest.raises(Unsupported, match=f"`{name}`") as raised:
            check(backend, asked)
        assert raised.value.param == name and raised.value.why and raised.value.fix
        assert meant_for(backend, asked) == LoadOptions()


def test_values_that_ask_for_what_is_done_anyway() -> None:
    for backend in ("transformers", "mlx"):
        check(backend, LoadOptions(use_mmap=True, whole_window=True))
    check("mlx", LoadOptions(kv_type="q8_0", gpu_layers=-1))
    check("mlx", LoadOptions(gpu_layers=0))
    check("llama", LoadOptions(device="cuda:0,cuda:1", split="3,1"))


def test_a_setting_is_left_out_where_it_means_nothing() -> None:
    """It is for all models, so that it keeps none from being loaded."""
    runtime = Runtime(kv_type="q5_0", flash_attention=True, use_mmap=False, gpu_layers=3, threads=2)
    llama = completed(LoadOptions(), runtime, "llama")
    assert (llama.kv_type, llama.flash_attention, llama.use_mmap, llama.gpu_layers) == (
        "q5_0",
        True,
        False,
        3,
    )
    assert completed(LoadOptions(), runtime, EVERY) == llama
    torch = completed(LoadOptions(), runtime, "transformers")
    assert (torch.kv_type, torch.flash_attention, torch.use_mmap, torch.threads) == (None, None, None, 2)
    mlx = completed(LoadOptions(kv_type="q4_0"), runtime, "mlx")
    assert (mlx.kv_type, mlx.gpu_layers, mlx.threads) == ("q4_0", None, None)
    several = Runtime(device="cuda:0,cuda:1", split="3,1")
    assert completed(LoadOptions(), several, "mlx").device is None
    assert completed(LoadOptions(), several, "llama").split == "3,1"
    assert completed(LoadOptions(device="cuda:0"), several, "llama").split is None
    assert objection("scripted", "dtype", "bf16") is None


@pytest.mark.parametrize(
    "said", ["", ",", "3,", "0,0", "a,b", "10,20GB", "-1,2", "1e3", "9" * 400, "1," * 20 + "1"]
)
def test_a_split_that_says_nothing_is_refused(said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check("transformers", LoadOptions(split=said))
    assert raised.value.param == "split"


@given(
    said=st.text(max_size=40)
    | st.lists(st.sampled_from(["1", "2.5", "0", "3GB", "700 MiB", "x"])).map(",".join)
)
def test_any_split_is_parsed_or_refused(said: str) -> None:
    try:
        found = parse_split(said)
    except InvalidRequest:
        return
    assert found.count == said.count(",") + 1 and bool(found.shares) != bool(found.sizes)


def test_a_split_on_the_processor_alone_is_refused() -> None:
    with pytest.raises(Unsupported) as raised:
        check("transformers", LoadOptions(device="cpu", split="1,1"))
    assert raised.value.param == "split"

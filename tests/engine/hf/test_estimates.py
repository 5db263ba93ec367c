"""What a model folder takes under transformers beside what was predicted from its headers, family by family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.library.folder_fit import kv_bytes, needs
from engine.library.model_folder import read_folder
from engine.library.shape import context_shape
from engine.runtime.backends.base import Row
from engine.types import LoadOptions
from tests.engine.hf.driving import insert, opened
from tests.weights.hf_folders import FAMILIES, write_hf

TOKENS = 128


@pytest.mark.parametrize(
    ("family", "dtype"), [*((family, "float32") for family in FAMILIES), ("llama", "bfloat16")]
)
def test_weights_and_cache_are_within_five_percent_of_what_torch_holds(
    tmp_path: Path, family: str, dtype: str
) -> None:
    # A GPT-2 shares no keys among its heads.
    own = {"num_key_value_heads": 4} if family == "gpt2" else {}
    folder = write_hf(tmp_path / family, family, dtype=dtype, **own)
    read, options = read_folder(folder), LoadOptions(context=TOKENS, slots=3)
    (need,) = needs(read, context_shape(options, read.context), (), options)
    backend = opened(folder, context=TOKENS)
    try:
        model = backend._library._model  # type: ignore[attr-defined]
        held = {each.data_ptr(): each.numel() * each.element_size() for each in model.parameters()}
        assert need.weights == pytest.approx(sum(held.values()), rel=0.05)
        assert backend.memory().weights == pytest.approx(need.weights, rel=0.05)
        for slot in range(3):
            insert(backend, [7 + slot] * TOKENS, slot=slot)
            backend.step([Row(slot, TOKENS)])
        width = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
        assert backend.memory().kv_cache == pytest.approx(3 * kv_bytes(read, width) * TOKENS, rel=0.05)
    finally:
        backend.close()

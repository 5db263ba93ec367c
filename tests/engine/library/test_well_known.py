"""The short names by which people know models."""

from __future__ import annotations

import re

import pytest

from engine.library.well_known import names, well_known


def test_every_name_leads_to_a_repository() -> None:
    for name in names():
        repository = well_known(name)
        assert repository is not None and re.fullmatch(r"[\w.-]+/[\w.-]+", repository)
        assert "gguf" in repository.lower()


@pytest.mark.parametrize(
    "name", "llama3.2 qwen3 gemma3 phi4-mini mistral deepseek-r1 qwen2.5-coder smollm2 gpt-oss".split()
)
def test_the_names_that_people_type(name: str) -> None:
    assert well_known(name) == well_known(f"{name.upper()}:latest")
    assert well_known(name) is not None


def test_what_is_not_well_known() -> None:
    assert well_known("llama9") is None and well_known("") is None

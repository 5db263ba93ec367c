"""The words for figures and events: everything that is known is told, nothing that is not."""

from __future__ import annotations

import json
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import CacheMiss, DeviceNeed, Estimate, MemoryUse, ToolCall
from tui.telling import memory, prompt, waiting
from tui.telling.calls import as_line, as_markdown
from tui.telling.thinking import thought

GIB = 2**30


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((0, 0, None), ""),
        ((430, 0, None), ""),
        ((430, 429, None), "429 of 430 from cache"),
        ((430, 412, CacheMiss(cause="new", token=412)), "412 of 430 from cache · new from token 413"),
        (
            (7900, 412, CacheMiss(cause="adapter", token=412)),
            "412 of 7,900 from cache · another adapter from token 413",
        ),
        ((430, 12, CacheMiss(cause="tools", token=12)), "12 of 430 from cache · other tools from token 13"),
        ((430, 0, CacheMiss(cause="new")), "none of 430 from cache · all of it new"),
        ((430, 0, CacheMiss(cause="off")), "none of 430 from cache · the cache is off"),
    ],
)
def test_what_the_cache_gave_and_why_not_more(figures: tuple[int, int, CacheMiss | None], said: str) -> None:
    assert prompt.cached(*figures) == said


@pytest.mark.parametrize("cause", get_args(get_type_hints(CacheMiss)["cause"]))
@pytest.mark.parametrize("whole", [False, True])
def test_every_cause_of_a_miss_has_words(cause: str, whole: bool) -> None:
    said = prompt.reason(CacheMiss(cause=cause, token=6), whole=whole)
    assert said and "{" not in said and (whole or cause in ("model", "off") or "token 7" in said)


def test_what_was_cut_is_told_with_its_size() -> None:
    assert prompt.dropped(0) == "" and prompt.shifted(0) == ""
    assert prompt.dropped(1, 1204) == "1 older message left out: the window is full (1,204 tokens)"
    assert prompt.dropped(0, 5) == "5 tokens of the history left out"
    assert prompt.shifted(512) == "512 tokens forgotten to go on: the window was full"
    assert prompt.guesses(37, 15) == "37 of 52 guesses right" and prompt.guesses(0, 0) == ""


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        (None, ""),
        (0.2, " · about 1 s"),
        (8.4, " · about 8 s"),
        (89.0, " · about 89 s"),
        (200.0, " · about 3 min"),
    ],
)
def test_a_place_in_the_line_and_how_long_it_takes(eta: float | None, said: str) -> None:
    assert waiting.queued(2, eta) == f"place 2 in the queue{said}"


@given(st.floats(-1, 2), st.integers(1, 40))
def test_a_bar_is_as_wide_as_it_should_be(share: float, width: int) -> None:
    assert len(waiting.bar(share, width)) == width


def test_a_stage_is_told_in_words_and_an_unknown_one_by_its_name() -> None:
    assert waiting.stage("weights") == "reading the weights"
    assert waiting.stage("a new \x1b[2J stage") == "a new [2J stage"


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ((3.21, 214, False), "thought for 3.2 s · 214 tokens"),
        ((0.0, 1, False), "thought · 1 token"),
        ((0.04, 0, False), "thought for 0.1 s"),
        ((75.0, 2000, True), "thinking · 75 s · 2,000 tokens"),
        ((0.0, 0, True), "thinking"),
    ],
)
def test_thinking_is_a_line_with_its_length(figures: tuple[float, int, bool], said: str) -> None:
    seconds, tokens, running = figures
    assert thought(seconds, tokens, running=running) == said


CPU = DeviceNeed(device="CPU", weights=4 * GIB, kv_cache=GIB, compute=GIB // 2, free=9 * GIB)
GPU = DeviceNeed(device="CUDA0", kind="gpu", weights=2 * GIB, projector=GIB, free=4 * GIB)


def estimate(*devices: DeviceNeed, **changes: object) -> Estimate:
    return Estimate(model="m", context=8192, slots=4, cells=32768, devices=devices, **changes)  # type: ignore[arg-type]


def test_memory_is_told_by_device_and_part_and_unused_parts_are_not() -> None:
    table = memory.needs(estimate(CPU, GPU))
    assert table.columns == ("CPU", "CUDA0")
    assert dict(table.rows) == {
        "weights": ("4.0 GiB", "2.0 GiB"),
        "KV cache": ("1.0 GiB", "–"),
        "compute": ("512 MiB", "–"),
        "projector": ("–", "1.0 GiB"),
        "needs": ("5.5 GiB", "3.0 GiB"),
        "free": ("9.0 GiB", "4.0 GiB"),
    }


def test_the_verdict_names_the_device_that_is_short() -> None:
    assert memory.verdict(estimate(CPU)) == "fits: needs 5.5 GiB, 9.0 GiB are free"
    tight = DeviceNeed(device="CUDA0", weights=9 * GIB, free=4 * GIB)
    assert (
        memory.verdict(estimate(CPU, tight, fits=False))
        == "does not fit: needs 9.0 GiB of CUDA0, 4.0 GiB are free"
    )
    assert memory.verdict(estimate(fits=False)) == "does not fit: needs –"


def test_what_main_memory_must_have_holds_the_process_too() -> None:
    """It is counted when a load is refused, so the figures say it."""
    found = estimate(CPU, GPU, resident=CPU.total + GIB)
    rows = dict(memory.needs(found).rows)
    assert rows["process"] == ("1.0 GiB", "–") and rows["needs"] == ("6.5 GiB", "3.0 GiB")
    assert memory.verdict(found).startswith("fits: needs 9.5 GiB")
    assert memory.short(found).startswith("needs 9.5 GiB")
    short = estimate(CPU, resident=CPU.free + GIB, fits=False)
    assert memory.verdict(short) == "does not fit: needs 10 GiB of CPU, 9.0 GiB are free"


def test_what_follows_and_how_far_figures_can_be_trusted() -> None:
    found = estimate(CPU, advice="Use a window of 4096.", leaving=("a", "b"), exact=True, correction=1.031)
    assert memory.consequences(found) == ["Use a window of 4096.", "Makes room: a, b."]
    assert memory.remarks(found) == [
        "A window of 8,192 tokens, 4 at once.",
        "Figures of a dry run, corrected by earlier loads (× 1.03).",
    ]
    assert memory.remarks(estimate(CPU))[1] == "Figures by rule of thumb."


def test_predicted_stands_beside_actual() -> None:
    used = MemoryUse(weights=4 * GIB, kv_cache=GIB, compute=GIB, resident=6 * GIB)
    table = memory.compared(estimate(CPU, resident=5 * GIB), used)
    assert table.columns == ("predicted", "actual")
    assert dict(table.rows)["compute"] == ("512 MiB", "1.0 GiB")
    assert dict(table.rows)["resident"] == ("5.0 GiB", "6.0 GiB")
    assert memory.compared(None, used).columns == ("actual",)
    assert memory.compared(None, MemoryUse()).rows == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.text(), JSON)
def test_a_call_is_one_line_of_json_with_its_arguments_within(id: str, name: str, arguments: object) -> None:
    line = as_line(ToolCall(id=id, name=name, arguments=json.dumps(arguments)))
    assert "\n" not in line and line.encode()
    assert json.loads(line) == {"tool_call": {"id": id, "name": name, "arguments": arguments}}


@pytest.mark.parametrize("arguments", ["", "not json", '{"a": NaN}', "[" * 100_000, '{"a"'])
def test_arguments_that_are_no_json_stay_a_text(arguments: str) -> None:
    line = as_line(ToolCall(id="1", name="f", arguments=arguments))
    assert json.loads(line)["tool_call"]["arguments"] == arguments


def test_a_message_with_calls_is_markdown_with_a_block_each() -> None:
    calls = [ToolCall(id="1", name="f", arguments='{"a":"```"}')]
    assert as_markdown("text", calls) == 'text\n\n`f`\n\n````json\n{\n  "a": "```"\n}\n````'
    assert as_markdown("text", []) == "text"

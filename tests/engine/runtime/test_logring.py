"""Which log lines are kept and shown, and what is blanked out of them."""

from __future__ import annotations

import pytest

from engine.runtime.logring import LogRing


def test_only_lines_of_the_level_that_was_set_are_shown() -> None:
    ring = LogRing("warning")
    for level in ("debug", "info", "warning", "error"):
        ring.add(level, "engine", level)
    assert [line.text for line in ring.shown(10)] == ["warning", "error"]
    assert [line.text for line in ring.last(10)] == ["info", "warning", "error"], "last words of a worker"
    assert [line.text for line in ring.shown(1)] == ["error"]


def test_debug_lines_are_kept_when_they_are_wanted() -> None:
    ring = LogRing("debug")
    ring.add("debug", "engine", "detail")
    assert [line.text for line in ring.shown(10)] == ["detail"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("token hf_abcdefghijklmnopqrstuvwxyz refused", "hf_abcdefghijklmnopqrstuvwxyz"),
        ("key sk-proj-0123456789abcdefgh", "sk-proj-0123456789abcdefgh"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("Cookie: hearth_session=1234", "hearth_session=1234"),
        ("GET /x?token=abc123&y=1", "abc123"),
    ],
)
def test_secrets_are_blanked_out(text: str, secret: str) -> None:
    ring, plain = LogRing(), LogRing(redact=False)
    ring.add("info", "engine", text)
    plain.add("info", "engine", text)
    assert secret not in ring.shown(1)[0].text
    assert "[hidden]" in ring.shown(1)[0].text
    assert plain.shown(1)[0].text == text

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from textual.widget import Widget

from tests.tiers import mostly_long
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.heights import HeightMap
from tui.stream.pump import StreamPump
from tui.stream.spacer import Spacer
from tui.stream.window import MOST_MOUNTED, MessageWindow

SIZE = (60, 20)


def widgets(window: MessageWindow) -> list[FrozenMessage]:
    return list(window.query(FrozenMessage))


def top_message(window: MessageWindow) -> tuple[str, int]:
    """The message at the top of the screen and the row it begins at."""
    for widget in widgets(window):
        if widget.region.bottom > window.region.y:
            return widget.view.id, widget.region.y - window.region.y
    raise AssertionError("no message on screen")


async def settle(pilot: Any) -> None:
    for _ in range(3):
        await pilot.pause()


async def test_a_thousand_messages_mount_a_handful_and_end_at_the_bottom(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(1000))
        await settle(pilot)
        window = app.window
        assert len(widgets(window)) <= MOST_MOUNTED
        assert window.mounted_ids[-1] == "m999"
        assert window.following and window.scroll_y == window.max_scroll_y > 5000


@pytest.mark.long
async def test_scrolling_to_the_top_and_back_passes_every_message_in_order(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        views = talk(60)
        await app.window.show(views)
        await settle(pilot)
        window = app.window
        seen: list[str] = []
        while window.scroll_y > 0:
            window.scroll_relative(y=-16, animate=False)
            await settle(pilot)
            seen += [widget.view.id for widget in widgets(window) if widget.region.overlaps(window.region)]
            assert len(widgets(window)) <= MOST_MOUNTED + MOST_MOUNTED // 4
        assert set(seen) >= {view.id for view in views[:58]}
        assert top_message(window) == ("m0", 0)
        assert not window.following
        while not window.following:
            window.scroll_relative(y=24, animate=False)
            await settle(pilot)
        assert window.mounted_ids[-1] == "m59"


@pytest.mark.parametrize("step", mostly_long([-7, -19, -55], 1))
async def test_what_is_on_screen_stays_when_the_window_moves(app: Any, talk: Any, step: int) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(200))
        await settle(pilot)
        window = app.window
        for _ in range(12):
            window.scroll_relative(y=step, animate=False)
            await pilot.pause()
            before = top_message(window)
            await settle(pilot)
            assert top_message(window) == before


async def test_the_scroll_bar_can_jump_anywhere(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(500))
        await settle(pilot)
        window = app.window
        window.scroll_to(y=window.max_scroll_y // 2, animate=False)
        await settle(pilot)
        covered = [widget for widget in widgets(window) if widget.region.overlaps(window.region)]
        assert sum(widget.region.intersection(window.region).height for widget in covered) == SIZE[1]
        number = int(top_message(window)[0][1:])
        assert 150 < number < 350


async def test_spacers_and_messages_add_up_to_the_known_heights(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(100), at="m50")
        await settle(pilot)
        window = app.window
        assert top_message(window) == ("m50", 0)
        rows = sum(spacer.rows for spacer in window.query(Spacer))
        rows += sum(widget.size.height for widget in widgets(window))
        assert rows == window.virtual_size.height


async def test_a_streaming_message_stays_mounted_however_far_the_reader_goes(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(200))
        window = app.window
        answer = await window.stream(MessageView("s", "assistant", "", title="ember"))
        window.scroll_to(y=0, animate=False)
        await settle(pilot)
        answer.append("still here")
        await settle(pilot)
        assert answer.is_attached and window.widget_of("s") is answer
        assert top_message(window) == ("m0", 0)
        await window.finish(answer, meta="2 tok")
        await settle(pilot)
        assert not answer.is_attached and window.views[-1].text == "still here"
        window.follow()
        await settle(pilot)
        assert window.mounted_ids[-1] == "s"
        assert "2 tok" in [line.content.plain for line in window.widget_of("s").lines]


async def test_an_answer_that_ends_on_screen_keeps_its_widget(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(5))
        answer = await app.window.stream(MessageView("s", "assistant", ""))
        answer.append("# Title\n\ntext")
        await app.window.finish(answer)
        await settle(pilot)
        assert app.window.widget_of("s") is answer and answer.is_attached
        assert not answer.has_class("-streaming")
        assert [widget.view.id for widget in widgets(app.window)][-1] == "s"


async def test_a_long_session_never_mounts_more_than_the_window(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        for view in talk(150):
            await app.window.append(view)
        await settle(pilot)
        assert len(widgets(app.window)) <= MOST_MOUNTED + MOST_MOUNTED // 4
        assert app.window.scroll_y == app.window.max_scroll_y
        assert len(app.window.views) == 150


async def test_updating_a_message_redraws_it_and_showing_again_keeps_equal_widgets(
    app: Any, talk: Any
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        views = talk(4)
        await app.window.show(views)
        kept = app.window.widget_of("m1")
        changed = MessageView("m3", "assistant", "other text", meta="3 tok")
        await app.window.update(changed)
        await settle(pilot)
        assert "other text" in [line.content.plain for line in app.window.widget_of("m3").lines]
        await app.window.show([*views[:2], MessageView("n", "user", "branch")])
        await settle(pilot)
        assert app.window.widget_of("m1") is kept
        assert app.window.widget_of("m3") is None
        assert [widget.view.id for widget in widgets(app.window)] == ["m0", "m1", "n"]


async def test_a_new_terminal_size_keeps_the_place_and_relays_out(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(100), at="m40")
        await settle(pilot)
        await pilot.resize_terminal(100, 30)
        await settle(pilot)
        assert top_message(app.window) == ("m40", 0)
        assert max(len(line.content.plain) for line in app.window.widget_of("m41").lines) > 60


async def test_a_theme_change_repaints_without_new_layout(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(10))
        await settle(pilot)
        widget = app.window.widget_of("m9")
        lines, before = widget.lines, widget.render_line(0)
        app.theme = "textual-light"
        await settle(pilot)
        assert widget.lines is lines
        assert widget.render_line(0) != before


async def test_code_and_source_of_a_message_are_at_hand(app: Any) -> None:
    text = "a\n\n```py\nx\n```\n- b\n  ```\n  y\n  ```\n"
    async with app.run_test(size=SIZE):
        await app.window.show([MessageView("a", "assistant", text)])
        widget = app.window.widget_of("a")
        assert widget.source == text
        assert widget.code_blocks == [("py", "x\n"), ("", "y\n")]


async def test_removed_messages_are_garbage(app: Any, talk: Any) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(30))
        await settle(pilot)
        gone: list[weakref.ref[Widget]] = [weakref.ref(widget) for widget in widgets(app.window)]
        await app.window.show([MessageView("x", "user", "new")])
        await settle(pilot)
        app.window.query_one(FrozenMessage)
        await settle(pilot)
        gc.collect()
        assert sum(ref() is not None for ref in gone) <= 1


async def test_scrolling_up_pauses_counts_and_follows_again(
    app: Any, talk: Any, until: Callable[..., Any]
) -> None:
    async with app.run_test(size=SIZE) as pilot:
        await app.window.show(talk(30))
        window = app.window
        answer = await window.stream(MessageView("s", "assistant", ""))
        pump = StreamPump()
        feed = pump.open(answer)
        window.follow_feed(feed)
        feed.push("one ")
        await until(lambda: answer.source == "one ")
        window.scroll_up(animate=False)
        await settle(pilot)
        assert not window.following and window.status == "paused ↓"
        ticks = pump.ticks
        feed.push("two ")
        feed.push("three")
        await until(lambda: pump.ticks > ticks + 1)
        assert answer.source == "one "
        assert window.status == "paused ↓ 2"
        await pilot.press("G") if window.has_focus else window.action_follow()
        await until(lambda: answer.source == "one two three")
        assert window.status == "following ↓"
        feed.close()


def test_heights_are_sums_and_measuring_corrects_them() -> None:
    heights = HeightMap([3, 4, 5])
    assert (heights.total, heights.top(2), heights.at(2), heights.at(3), heights.at(99)) == (12, 7, 0, 1, 2)
    heights.measure(0, 10)
    assert (heights.total, heights.top(1), heights.is_measured(0), heights.is_measured(1)) == (
        19,
        10,
        True,
        False,
    )
    heights.append(1)
    assert (len(heights), heights.top(4)) == (4, 20)

"""Mouse selection over real apps: in frozen messages, while streaming, and while things go away."""

from __future__ import annotations

import random
from typing import Any

from textual.events import MouseDown, MouseMove, MouseUp
from textual.geometry import Offset
from textual.pilot import Pilot

from tui.stream.frozen import MessageView

FENCE = "Look here:\n\n```py\ndef f():\n\treturn 1\n```\n"


async def drag(pilot: Pilot[Any], start: Offset, end: Offset) -> None:
    """Press at `start`, move to `end`, release; screen coordinates."""
    await pilot.mouse_down(offset=(start.x, start.y))
    await pilot.hover(offset=(end.x, end.y))
    await pilot.mouse_up(offset=(end.x, end.y))
    await pilot.pause()


async def test_dragging_over_a_frozen_message_copies_what_was_written(app: Any) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await app.window.show([MessageView("a", "assistant", FENCE)])
        await pilot.pause()
        widget = app.window.widget_of("a")
        top = widget.region.y
        rows = [line.content.plain for line in widget.lines]
        first, last = rows.index("Look here:"), rows.index("▎     return 1")
        await drag(pilot, Offset(1, top + first), Offset(40, top + last))
        assert app.screen.get_selected_text() == "Look here:\n\ndef f():\n    return 1"


async def test_a_drag_inside_a_wrapped_paragraph_copies_it_unwrapped(app: Any) -> None:
    async with app.run_test(size=(30, 20)) as pilot:
        await app.window.show([MessageView("a", "assistant", "alpha beta gamma delta epsilon zeta eta")])
        await pilot.pause()
        top = app.window.widget_of("a").region.y
        await drag(pilot, Offset(7, top + 1), Offset(12, top + 2))
        assert app.screen.get_selected_text().startswith("beta gamma delta epsilon")


async def test_a_drag_across_messages_copies_both(app: Any) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await app.window.show([MessageView("a", "user", "one"), MessageView("b", "assistant", "two")])
        await pilot.pause()
        first, second = app.window.widget_of("a").region.y, app.window.widget_of("b").region.y
        await drag(pilot, Offset(1, first + 1), Offset(20, second + 1))
        text = app.screen.get_selected_text()
        assert "one" in text and "two" in text and "assistant" not in text


async def test_a_selection_survives_the_stream_going_on_and_ending(app: Any) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        answer = await app.window.stream(MessageView("a", "assistant", ""))
        answer.append("first paragraph\n\nsecond")
        await pilot.pause()
        top = answer.region.y
        await drag(pilot, Offset(1, top + 1), Offset(30, top + 1))
        assert app.screen.get_selected_text() == "first paragraph"
        answer.append(" goes on\n\n" + FENCE)
        await pilot.pause()
        assert app.screen.get_selected_text() == "first paragraph"
        await app.window.finish(answer)
        await pilot.pause()
        assert app.screen.get_selected_text() == "first paragraph"


async def test_the_selection_is_painted_and_gone_again(app: Any) -> None:
    async with app.run_test(size=(60, 20)) as pilot:
        await app.window.show([MessageView("a", "assistant", "some words")])
        await pilot.pause()
        widget = app.window.widget_of("a")
        before = widget.render_line(1)
        await drag(pilot, Offset(1, widget.region.y + 1), Offset(6, widget.region.y + 1))
        assert widget.render_line(1) != before
        app.screen.clear_selection()
        await pilot.pause()
        assert [segment.style.bgcolor for segment in widget.render_line(1)] == [
            segment.style.bgcolor for segment in before
        ]


async def test_wild_clicks_and_drags_while_messages_come_and_go_crash_nothing(app: Any, talk: Any) -> None:
    """Upstream's #6643: a mouse event that hits a widget that was just removed ended the app."""
    chance = random.Random(7)
    async with app.run_test(size=(60, 20)) as pilot:
        window = app.window
        for round_ in range(12):
            await window.show(talk(chance.randrange(1, 60)))
            answer = await window.stream(MessageView(f"s{round_}", "assistant", ""))
            for piece in FENCE.splitlines(keepends=True) * 3:
                answer.append(piece)
                x, y = chance.randrange(60), chance.randrange(20)
                kind = chance.choice([MouseDown, MouseMove, MouseUp])
                app.screen._forward_event(
                    kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)
                )
            if round_ % 2:
                await window.finish(answer)
        await pilot.pause()
        assert app.is_running

"""A conversation of ten thousand messages in the window: what each shows is made for those that come into sight."""

from __future__ import annotations

from typing import Any

import pytest

from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.message_list import MessageList
from tui.stream.window import MOST_MOUNTED

COUNT = 10_000
SIZE = (60, 20)


class Made:
    """Makes views and remembers of which messages."""

    def __init__(self, said: str = "message") -> None:
        self.said, self.places = said, set[int]()

    def view(self, place: int) -> MessageView:
        self.places.add(place)
        return MessageView(f"m{place}", "assistant", f"{self.said} {place}\n\nand more of it")

    def all(self, count: int = COUNT) -> MessageList:
        return MessageList([f"m{place}" for place in range(count)], self.view, lambda place, width: 6)


async def test_ten_thousand_messages_are_made_as_they_come_into_sight(app: Any, until: Any) -> None:
    made = Made()
    async with app.run_test(size=SIZE) as pilot:
        window = app.window
        await window.show(made.all())
        await until(lambda: window.max_scroll_y > 5 * COUNT and window.scroll_y == window.max_scroll_y)
        assert window.mounted_ids[-1] == f"m{COUNT - 1}"
        assert len(made.places) <= MOST_MOUNTED and min(made.places) > COUNT - 2 * MOST_MOUNTED
        window.scroll_home(animate=False)
        await until(lambda: window.widget_of("m0") is not None and window.widget_of("m0").region.y == 0)
        assert len(made.places) <= 4 * MOST_MOUNTED
        assert "message 0" in window.widget_of("m0").lines[1].content.plain
        await window.go_to("m5000")
        await until(lambda: window.widget_of("m5000") is not None and window.widget_of("m5000").region.y == 0)
        assert len(window.query(FrozenMessage)) <= MOST_MOUNTED + MOST_MOUNTED // 4
        # What is out of sight may have changed meanwhile, what is in sight changes at once.
        changed = Made("changed")
        await window.refresh_views(changed.all())
        await pilot.pause()
        assert "changed 5000" in window.widget_of("m5000").lines[1].content.plain
        assert len(changed.places) <= MOST_MOUNTED + MOST_MOUNTED // 4
        window.follow()
        await until(lambda: window.mounted_ids[-1] == f"m{COUNT - 1}")
        assert f"changed {COUNT - 1}" in window.widget_of(f"m{COUNT - 1}").lines[1].content.plain


def test_a_list_is_a_sequence_of_what_its_messages_show() -> None:
    made = Made()
    messages = made.all(5)
    messages.append(MessageView("last", "user", "one\ntwo\nthree"))
    assert len(messages) == 6 and messages.ids[-1] == messages[-1].id == "last"
    assert messages.rows(0, 80) == 6 and messages.rows(5, 80) > 4 and not made.places
    assert [view.id for view in messages[3:]] == ["m3", "m4", "last"]
    assert messages[1] is messages[1] and made.places == {1, 3, 4}
    messages[1] = MessageView("m1", "user", "another")
    assert [view.text for view in messages][1] == "another"
    with pytest.raises(IndexError):
        messages[6]

"""Names, paths, log lines and errors from outside: no control code is drawn, no markup is read, nothing dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import DataTable

from engine.text_safety import FORBIDDEN_RANGES
from engine.types import LoadedModel, LogLine, ModelEntry
from tests.tiers import mostly_long
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.status import ChatStatus

PAYLOADS = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "[/]",
    "[bold",
    "[@click=app.quit]x[/]",
    "$primary",
    "a\nb\rc",
    "\u202egnp.exe",
    "\ufeff",
    "[red]x[/blue]",
    "日本語🔥" * 40,
    "",
)


@pytest.mark.parametrize(
    "payload", mostly_long(PAYLOADS, ("\x1b[2J\x1b[H", "[@click=app.quit]x[/]", "日本語🔥" * 40))
)
async def test_a_payload_is_text_everywhere(make_app: Callable[..., HearthApp], payload: str) -> None:
    name = f"m{payload}m"
    entry = ModelEntry(
        id=name,
        path=f"/x/{payload}",
        format="gguf",
        source=payload,
        architecture=payload,
        quantisation=payload,
        licence=payload,
        adapters=(payload,),
        backends=("llama",),
    )
    engine = fake_engine(
        entries=[
            entry,
            ModelEntry(id=name + "2", path=payload, format="gguf", source="folder", broken=payload or "x"),
        ],
        loaded=[LoadedModel(id=name, state="ready")],
        lines=[LogLine(t_unix=1.0, level="error", origin=payload, text=f"{payload} said")],
    )
    app = make_app(engine=engine)
    seen: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 2)
        app.choose_model(name)
        app.show_chat_status(
            ChatStatus(model=name, title=payload, branch=(1, 2), context_used=5, context_total=8)
        )
        for keys in (
            [],
            ["end"],
            ["ctrl+k"],
            ["enter"],
            ["l"],
            ["f1"],
            ["escape"],
            ["ctrl+p", "m"],
            ["escape"],
            ["escape"],
            ["alt+2"],
        ):
            await pilot.press(*keys)
            await pilot.pause()
            seen.append(shown(app))
        app.flash(payload)
        app.notify(payload, markup=False)
        app.show_error(ValueError(payload))
        await pilot.pause()
        seen.append(shown(app))
        await until(pilot, lambda: app.screen.is_modal)
        assert app._exit is False and app._exception is None
    drawn = {ord(letter) for text in seen for letter in text} - {10}
    for first, last in FORBIDDEN_RANGES:
        assert not any(first <= point <= last for point in drawn), hex(first)

"""The hub in Models: search and filters, details, what is shown while it does not answer and when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from engine.errors import HubUnavailable, NotAllowed
from engine.text_safety import FORBIDDEN_RANGES
from engine.types import HubCard
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.hub_recordings import hub_models
from tui.screens.models import hub as hub_view
from tui.screens.models.forms import FormTable
from tui.screens.models.hub import HubView, ResultTable
from tui.screens.models.local import ModelTable
from tui.screens.models.screen import ModelsScreen

MakeApp = Callable[..., HearthApp]
QWEN = "qwen/Qwen3-8B-GGUF"


async def to_the_hub(pilot: Pilot[Any], app: HearthApp) -> HubView:
    """Go there, and wait until the results have the focus."""
    await until(pilot, lambda: app.screen.query_one(ModelTable).row_count > 0)
    await pilot.press("h")
    await until(pilot, lambda: isinstance(app.focused, ResultTable))
    return app.screen.query_one(HubView)


async def test_the_hub_is_one_key_away_and_shows_what_is_most_wanted(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(160, 40)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "6 at the hub" in shown(app))
        table = app.screen.query_one(ResultTable)
        assert [str(cell) for cell in table.get_row_at(0)][1:4] == [QWEN, "  8.2B", "✓ fits"]
        assert "✗ too big" in shown(app)
        assert engine.queries[-1].library == "gguf" and engine.queries[-1].order == "downloads"
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.focused, ModelTable))
        assert "7 of 7 models" in shown(app)


async def test_typing_asks_once_when_it_rests_and_what_is_here_shows_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: len(engine.queries) == 1)
        monkeypatch.setattr(hub_view, "TYPED_S", 3600.0)
        await pilot.press("slash", *"smo")
        assert isinstance(app.focused, Input)
        await until(pilot, lambda: "smollm3-3b" in shown(app))
        monkeypatch.setattr(hub_view, "TYPED_S", 0.0)
        await pilot.press("l")
        await until(pilot, lambda: "1 at the hub · 1 here" in shown(app))
        assert [query.text for query in engine.queries] == ["", "smol"]
        await pilot.press("down")
        await until(pilot, lambda: isinstance(app.focused, ResultTable))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, ModelTable))
        screen = app.screen
        assert isinstance(screen, ModelsScreen) and screen.local.row is not None
        assert screen.local.row.entry.id == "smollm3-3b"


async def test_a_search_that_is_typed_over_is_cancelled(make_app: MakeApp) -> None:
    engine = fake_engine()
    asked: list[str] = []
    cancelled: list[str] = []
    answer = engine.search_hub

    async def slow(query: Any) -> Any:
        asked.append(query.text)
        try:
            if query.text == "q":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(query.text)
            raise
        return await answer(query)

    engine.search_hub = slow  # type: ignore[method-assign]
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await pilot.press("slash", "q")
        await until(pilot, lambda: asked[-1:] == ["q"])
        assert "asking the hub …" in shown(app)
        await pilot.press("w")
        await until(pilot, lambda: cancelled == ["q"])
        await until(pilot, lambda: "1 at the hub" in shown(app))


async def test_filters_turn_by_key_and_by_click(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(160, 40)) as pilot:
        view = await to_the_hub(pilot, app)
        await until(pilot, lambda: "6 at the hub" in shown(app))
        await pilot.press("f")
        await until(pilot, lambda: engine.queries[-1].fits)
        await until(pilot, lambda: "5 at the hub" in shown(app) and "● fits" in shown(app))
        await pilot.press("f", "m")
        await until(pilot, lambda: engine.queries[-1].library == "mlx")
        await until(pilot, lambda: "mlx-community" in shown(app))
        await pilot.press("m", "m", "s", "t", "z")
        # On a busy machine the hub is asked before the last of the keys.
        await until(pilot, lambda: engine.queries[-1].most_parameters == 1_500_000_000)
        last = engine.queries[-1]
        assert (last.library, last.order, last.task) == (None, "likes", "text-generation")
        before = view.filters
        await pilot.click("FilterLine", offset=(3, 0))
        await until(pilot, lambda: view.filters == before.turned("fits"))
        await until(pilot, lambda: engine.queries[-1].fits)


async def test_details_compare_the_forms_and_show_the_card(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(160, 60)) as pilot:
        await to_the_hub(pilot, app)
        for words in ("★ Q4_K_M", "✗ too big", "! tight", "of 9.0 GiB free", "made from Qwen/Qwen3-8B"):
            await until(pilot, lambda words=words: words in shown(app))
        await until(pilot, lambda: "Which file?" in shown(app) and "nearly everybody" in shown(app))
        # What only a browser would draw is left out; code is not read as anything.
        assert "<img" not in shown(app) and "badge" not in shown(app).lower()
        assert '{"role": "user", "content": "Why is the sky blue?"}' in shown(app)


async def test_results_that_are_only_passed_are_not_asked_about(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "6 at the hub" in shown(app))
        monkeypatch.setattr(hub_view, "RESTS_S", 3600.0)
        await pilot.press("j", "j")
        monkeypatch.setattr(hub_view, "RESTS_S", 0.0)
        await pilot.press("j")
        await until(pilot, lambda: "HuggingFaceTB/SmolLM3-3B-GGUF" in engine.asked_for)
        assert "google/gemma-3-12b-it-qat-GGUF" not in engine.asked_for
        await until(pilot, lambda: "● here" in shown(app) and "It has no card." in shown(app))


async def test_a_name_that_no_search_finds_is_pulled_as_it_is_written(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_the_hub(pilot, app)
        await pilot.press("slash", *"me/mine:Q8_0", "enter")
        await until(pilot, lambda: "p pulls me/mine:Q8_0 by that name" in shown(app))
        await until(pilot, lambda: isinstance(app.focused, ResultTable))
        await pilot.press("p")
        await until(pilot, lambda: [each.model for each in engine.pulled] == ["me/mine:Q8_0"])


async def test_a_click_goes_to_the_other_view(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(ModelTable).row_count > 0)
        await pilot.click("ViewLine", offset=(12, 0))
        await until(pilot, lambda: isinstance(app.focused, ResultTable))
        await pilot.click("ViewLine", offset=(4, 0))
        await until(pilot, lambda: isinstance(app.focused, ModelTable))


async def test_a_gated_model_says_how_to_get_access(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "◇ gated" in shown(app))
        await pilot.press("j")
        await until(pilot, lambda: "Accept its terms" in shown(app))


async def test_without_a_network_what_is_here_is_shown_and_said_why(make_app: MakeApp) -> None:
    engine = fake_engine()
    engine.offline = HubUnavailable("The hub does not [answer].", "No network.", "Try again.")
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "The hub does not [answer]." in shown(app) and "No network." in shown(app))
        assert "mistral-small-3.2-24b" in shown(app) and "phi-4-half-downloaded" not in shown(app)
        engine.offline = None
        await pilot.press("r")
        await until(pilot, lambda: "6 at the hub" in shown(app) and "No network." not in shown(app))


async def test_while_the_hub_is_silent_what_is_here_stands_there(make_app: MakeApp) -> None:
    engine = fake_engine()
    engine.silent = True
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "asking the hub …" in shown(app) and "● here" in shown(app))
        await pilot.press("slash", *"zebra")
        await until(pilot, lambda: "… asking the hub" in shown(app))


async def test_what_cannot_be_looked_into_says_why(make_app: MakeApp) -> None:
    engine = fake_engine()
    engine.files.clear()
    answer = engine.hub_card

    async def refused(model: str) -> HubCard:
        if model == QWEN:
            raise NotAllowed("The hub refuses [it].", "It is private.", "Set HF_TOKEN.")
        return await answer(model)

    engine.hub_card = refused  # type: ignore[method-assign]
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: f"✗ The hub has no files of {QWEN}." in shown(app))
        assert "Look at its page." in shown(app)


async def test_nothing_found_says_what_to_do(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await to_the_hub(pilot, app)
        await pilot.press("slash", *"zebra")
        await until(pilot, lambda: "Nothing at the hub fits this search." in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "6 at the hub" in shown(app))


@pytest.mark.parametrize(
    "size", [(20, 8), *(pytest.param(size, marks=pytest.mark.long) for size in ((80, 24), (200, 60)))]
)
async def test_every_size_works_and_escape_leads_back(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        view = await to_the_hub(pilot, app)
        await until(pilot, lambda: view.table.row_count == 6)
        for _ in range(3):
            await pilot.press("enter")
            await until(pilot, lambda: app.focused in (view.detail, view.detail.forms))
            await pilot.press("pagedown", "pageup", "f1", "escape", "escape")
            await until(pilot, lambda: app.focused is view.table)
            await pilot.press("j")
        await pilot.resize_terminal(size[0] + 30, size[1] + 3)
        await pilot.pause()
        assert all(len(line) <= size[0] + 30 for line in shown(app).splitlines())


async def test_a_hostile_card_is_text(make_app: MakeApp) -> None:
    engine = fake_engine()
    payload = "[/] [@click=app.quit]x[/] $primary \x1b]0;owned\x07\x9b31m\u202egnp.exe"
    model = replace(
        hub_models()[0], id=f"a/[red]{payload}", architecture=payload, licence=payload, task=payload
    )
    engine.hub = [model, *(each for each in engine.hub if each.id.startswith("stranger"))]
    engine.cards[model.id] = HubCard(model=model, text=payload * 40, base=(payload,), gate=payload)
    app = make_app(engine=engine)
    seen: list[str] = []
    async with app.run_test(size=(160, 60)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "[@click=app.quit]x[/]" in shown(app) and "made from" in shown(app))
        seen.append(shown(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: "[red]Not markup[/red]" in shown(app))
        seen.append(shown(app))
        for _ in range(3):
            await pilot.press("pagedown")
            await pilot.pause()
            seen.append(shown(app))
        assert app._exit is False and app._exception is None
    drawn = {ord(letter) for text in seen for letter in text} - {10}
    for first, last in FORBIDDEN_RANGES:
        assert not any(first <= point <= last for point in drawn), hex(first)


async def test_the_forms_keep_the_cursor_while_a_pull_moves(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(160, 50)) as pilot:
        view = await to_the_hub(pilot, app)
        await until(pilot, lambda: "★ Q4_K_M" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, FormTable))
        await pilot.press("j", "enter")  # Q5_K_M
        await until(pilot, lambda: engine.pulled)
        engine.move_pull("pull-1", stage="fetching", size=100, done=43, speed=1e6, left_s=3.0)
        await until(pilot, lambda: "⇣ 43%" in shown(app))
        assert view.detail.form is not None and view.detail.form.name == "Q5_K_M"

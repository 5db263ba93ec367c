"""The models that are here: what a deletion frees and what it refuses, newer revisions, the bar of what is free."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from textual.pilot import Pilot

from engine.errors import HubUnavailable, InsufficientMemory
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui import units
from tui.app import HearthApp
from tui.recorded import RecordedEngine
from tui.recordings import entries
from tui.screens.chat.prompt import Prompt
from tui.screens.models import rows
from tui.screens.models.fit_bar import fit_bar
from tui.screens.models.local import ModelTable
from tui.screens.models.screen import ModelsScreen
from tui.workspaces import WORKSPACES

MakeApp = Callable[..., HearthApp]
REPOSITORY = "org/tiny-GGUF"


def pulled() -> RecordedEngine:
    """Two quantisations of one repository, and the starter model."""
    tiny = replace(entries()[1], source="huggingface")
    return fake_engine(
        entries=[
            entries()[0],
            *(replace(tiny, id=f"{REPOSITORY}:{name}", quantisation=name) for name in ("Q4_K_M", "Q8_0")),
        ],
        loaded=[],
    )


async def on_row(pilot: Pilot[None], app: HearthApp, row: int) -> None:
    table = app.screen.query_one(ModelTable)
    await until(pilot, lambda: table.row_count == 3)
    table.move_cursor(row=row)
    await pilot.pause()


async def test_one_quantisation_is_deleted_after_saying_what_that_frees(make_app: MakeApp) -> None:
    engine = pulled()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_row(pilot, app, 2)
        await pilot.press("d")
        await until(pilot, lambda: "Delete org/tiny-GGUF:Q8_0?" in shown(app))
        assert "Frees 4.7 GiB in 1 file" in shown(app)
        await pilot.press("enter")  # the careful answer
        await until(pilot, lambda: not app.screen.is_modal)
        assert not engine.deleted
        await pilot.press("d")
        await until(pilot, lambda: app.screen.is_modal)
        await pilot.press("y")
        await until(pilot, lambda: engine.deleted == [f"{REPOSITORY}:Q8_0"])
        await until(pilot, lambda: app.screen.query_one(ModelTable).row_count == 2)
        assert "4.7 GiB are free" in shown(app)


async def test_all_of_a_repository_is_deleted_at_once(make_app: MakeApp) -> None:
    engine = pulled()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_row(pilot, app, 1)
        await pilot.press("D")
        await until(pilot, lambda: "Delete org/tiny-GGUF?" in shown(app) and "in 2 files" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: app.screen.query_one(ModelTable).row_count == 1)


async def test_what_is_loaded_or_not_the_caches_is_not_deleted(make_app: MakeApp) -> None:
    engine = pulled()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_row(pilot, app, 1)
        await engine.load(f"{REPOSITORY}:Q4_K_M")
        await pilot.press("d")
        await until(pilot, lambda: "is in memory and is not deleted" in shown(app))
        assert "Unload it first." in shown(app)
        await pilot.press("escape")
        await on_row(pilot, app, 0)
        await pilot.press("d")
        await until(pilot, lambda: "Delete it there yourself." in shown(app))
        assert not engine.deleted


async def test_a_newer_revision_is_told_and_pulled_on_a_yes(make_app: MakeApp) -> None:
    engine = pulled()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_row(pilot, app, 1)
        await pilot.press("n")
        await until(pilot, lambda: "Up to date." in shown(app))
        engine.newer[REPOSITORY] = "b" * 40
        await pilot.press("n")
        await until(pilot, lambda: f"Pull the newer revision of {REPOSITORY}?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: [each.model for each in engine.pulled] == [f"{REPOSITORY}:Q4_K_M"])
        await until(pilot, lambda: "the hub has a newer one" in shown(app).replace("\n", " "))
        await on_row(pilot, app, 0)
        await pilot.press("n")
        await until(pilot, lambda: "did not come from the hub" in shown(app))


async def test_all_are_asked_about_at_once_and_marked(make_app: MakeApp) -> None:
    engine = pulled()
    engine.newer[REPOSITORY] = "b" * 40
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_row(pilot, app, 0)
        await pilot.press("N")
        await until(pilot, lambda: f"The hub has newer: {REPOSITORY}." in shown(app))
        assert shown(app).count(" ↑") == 2
        engine.offline = HubUnavailable("The hub does not answer.", fix="Try it again.")
        await pilot.press("N")
        await until(pilot, lambda: app.screen.is_modal and "The hub does not answer." in shown(app))


async def test_the_bar_of_what_is_free_stands_below_the_figures(make_app: MakeApp) -> None:
    app = make_app(engine=pulled())
    async with app.run_test(size=(120, 40)) as pilot:
        await on_row(pilot, app, 1)
        await until(pilot, lambda: "of free" in shown(app) and "█ weights" in shown(app))


def test_a_bar_is_as_wide_as_asked_and_marks_what_is_too_much() -> None:
    for width in range(4, 40):
        for parts, free in (((1, 2, 3, 4), 100), ((90, 9, 1), 100), ((1, 0), 10**9), ((700, 5, 5), 100)):
            bar = fit_bar(parts, free, width)
            assert bar.cell_length == width
            assert bar.plain.endswith("!") is (sum(parts) > free)
    assert fit_bar((50, 25, 25), 200, 20).plain == "█████▓▓▓▒▒╌╌╌╌╌╌╌╌╌╌"
    assert fit_bar((0, 0), 100, 20).plain == ""


async def test_what_does_not_fit_is_refused_with_figures_and_loaded_on_a_yes(make_app: MakeApp) -> None:
    engine = fake_engine()
    engine.fail_load = InsufficientMemory(
        "qwen does not fit into memory.",
        "It needs 9 GiB of main memory; 4 GiB of main memory can be had.",
        "Buy some.",
    )
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.screen.query_one(ModelTable).row_count > 0)
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        screen.local.go_to("smollm3-3b")
        for answer, loaded in (("n", False), ("y", True)):
            await pilot.press("l")
            await until(pilot, lambda: app.screen.is_modal and "Load it all the same?" in shown(app))
            assert "It needs 9 GiB" in shown(app) and "4 GiB" in shown(app)
            await pilot.press(answer)
            await until(pilot, lambda: not app.screen.is_modal)
            await until(pilot, lambda: ("smollm3-3b" in engine.resident) is loaded)  # noqa: B023


async def test_each_model_has_a_verdict_and_what_does_not_fit_can_be_left_out(make_app: MakeApp) -> None:
    engine = fake_engine()
    verdicts = {fit.model: fit.verdict for fit in await engine.fits()}
    too_big = {name for name, verdict in verdicts.items() if verdict == "too big"}
    broken = {entry.id for entry in engine.entries if entry.broken}
    assert too_big and broken
    app = make_app(engine=engine)
    async with app.run_test(size=(160, 36)) as pilot:
        table = app.screen.query_one(ModelTable)
        await until(pilot, lambda: "✗ too big" in shown(app) and "✓ fits" in shown(app))
        assert table.row_count == len(engine.entries)
        await pilot.press("f")
        await until(pilot, lambda: "what fits" in shown(app))
        assert table.row_count == len(engine.entries) - len(too_big | broken)
        assert "✗ too big" not in shown(app) and "✗ broken" not in shown(app)
        await pilot.press("f")
        await until(pilot, lambda: table.row_count == len(engine.entries))


def test_what_was_used_last_can_come_first() -> None:
    now = 1_800_000_000.0
    found = [
        replace(entry, used=used)
        for entry, used in zip(entries()[:3], (0.0, now - 60, now - 7200), strict=True)
    ]
    order = [row.entry.used for row in rows.rows(found, [], "", sort="used")]
    assert order == [now - 60, now - 7200, 0.0]
    (row,) = rows.rows(found[2:], [], "")
    assert "last used" in dict(rows.card(row, {}))
    assert [units.ago(now - passed, now) for passed in (3, 90, 7200, 86400, 3 * 86400)] == [
        "just now", "1 min ago", "2 h ago", "1 day ago", "3 days ago",
    ]  # fmt: skip
    assert units.ago(0) == "never"


async def test_a_model_to_use_is_talked_to_in_the_chat(make_app: MakeApp) -> None:
    app = make_app(engine=pulled(), workspaces=WORKSPACES)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await on_row(pilot, app, 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, Prompt))
        assert app.current_mode == "chat" and app.chat_model.startswith(REPOSITORY)

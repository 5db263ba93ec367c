"""Pulls in Models: queued from the hub, shown in both views and in the status bar, cancelled, gone on with, ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.content import Content

from engine.errors import DiskFull
from engine.face import Hub
from engine.types import PullState
from tests.tui.fake_engine import fake_engine
from tests.tui.models.test_hub_view import QWEN, to_the_hub
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.hub_recordings import interrupted_pulls, pull_states
from tui.screens.models import pull_lines
from tui.screens.models.local import ModelTable
from tui.screens.models.pulls import PullList
from tui.telling.pull_endings import endings

MakeApp = Callable[..., HearthApp]
FULL = DiskFull("There is no [room].", "2 GiB are free.", "Delete something.")


async def test_p_pulls_the_best_and_it_is_seen_everywhere_until_it_is_here(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await to_the_hub(pilot, app)
        await until(pilot, lambda: "★ Q4_K_M" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: "asking the hub" in shown(app) and "⇣ 1 pull" in shown(app))
        assert [(each.model, each.quantisation) for each in engine.pulled] == [(QWEN, "Q4_K_M")]
        engine.move_pull("pull-1", stage="fetching", size=4 << 30, done=1 << 30, speed=50e6, left_s=61.0)
        await until(pilot, lambda: "25%  1.0/4.0 GiB · 48 MiB/s · 61 s left" in shown(app))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.focused, ModelTable) and "1.0/4.0 GiB" in shown(app))
        await pilot.press("alt+2")
        await until(pilot, lambda: "⇣ 1 pull 25%" in shown(app) and "1.0/4.0 GiB" not in shown(app))
        await pilot.click("StatusBar", offset=(20, 0))
        await until(pilot, lambda: isinstance(app.focused, PullList))
        await pilot.press("alt+2")
        looked = len(engine.entries)
        engine.entries.append(
            engine.entries[0].__class__(id="new", path="/n", format="gguf", source="huggingface")
        )
        engine.move_pull("pull-1", stage="done", done=4 << 30)
        await until(pilot, lambda: "is here, verified" in shown(app) and "⇣" not in shown(app))
        await pilot.press("alt+1")
        await until(pilot, lambda: app.screen.query_one(ModelTable).row_count == looked + 1)
        assert "● qwen/Qwen3-8B-GGUF:Q4_K_M" in shown(app)


async def test_what_is_too_big_is_pulled_only_after_a_question_and_what_is_here_not_at_all(
    make_app: MakeApp,
) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        view = await to_the_hub(pilot, app)
        await until(pilot, lambda: "★ Q4_K_M" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is view.detail.forms)
        await pilot.press("end", "enter")
        await until(pilot, lambda: "Pull BF16 all the same?" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: not app.screen.is_modal)
        assert not engine.pulled
        await pilot.press("p")
        await until(pilot, lambda: app.screen.is_modal)
        await pilot.press("y")
        await until(pilot, lambda: [each.quantisation for each in engine.pulled] == ["BF16"])
        await pilot.press("escape", "j", "j", "j")
        await until(pilot, lambda: "SmolLM3-3B-GGUF" in shown(app) and "● here" in shown(app))
        await until(pilot, lambda: "★ Q4_K_M" in shown(app) and view.found is not None)
        await until(pilot, lambda: "HuggingFaceTB/SmolLM3-3B-GGUF" in view._files)
        await pilot.press("p")
        await until(pilot, lambda: "Q4_K_M is here already." in shown(app))
        assert len(engine.pulled) == 1


async def test_a_pull_is_cancelled_gone_on_with_and_put_away(make_app: MakeApp) -> None:
    engine = fake_engine(pulls=pull_states()[:1])
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        queue = app.screen.query_one(PullList)
        await until(pilot, lambda: queue.display and "43%" in shown(app))
        await pilot.press("q")
        await until(pilot, lambda: app.focused is queue)
        await pilot.press("x")
        await until(pilot, lambda: "given up at 2.0/4.7 GiB" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: [each.model for each in engine.pulled] == [f"{QWEN}:Q4_K_M"])
        await until(pilot, lambda: "asking the hub" in shown(app) and "given up at" not in shown(app))
        engine.move_pull("pull-1", stage="done", size=100, done=100)
        await until(pilot, lambda: "is here ·" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: not queue.display and isinstance(app.focused, ModelTable))


async def test_a_pull_that_failed_says_why_before_it_goes_on(make_app: MakeApp) -> None:
    failed = PullState(id="f", model="org/big:Q8_0", stage="failed", size=9, done=3, error=FULL.info)
    engine = fake_engine(pulls=[failed])
    app = make_app(engine=engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "✗ org/big:Q8_0" in shown(app) and "There is no [room]." in shown(app))
        await pilot.press("q", "enter")
        await until(pilot, lambda: "2 GiB are free." in shown(app) and "Delete something." in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: [each.model for each in engine.pulled] == ["org/big:Q8_0"])


async def test_what_an_earlier_run_left_can_be_gone_on_with(make_app: MakeApp) -> None:
    engine = fake_engine(interrupted=interrupted_pulls())
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "broken off at 7.9/18 GiB" in shown(app))
        await app.run_action("show_pulls")
        await until(pilot, lambda: isinstance(app.focused, PullList))
        await pilot.press("enter")
        await until(pilot, lambda: [each.model for each in engine.pulled] == [interrupted_pulls()[0].model])
        await until(pilot, lambda: "broken off" not in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.focused, ModelTable))


@pytest.mark.parametrize("width", [20, 40, 72, 76, 112, 190])
def test_a_line_has_its_width_and_ends_with_the_quantisation(width: int) -> None:
    for state in [*pull_states(), *interrupted_pulls()]:
        line = pull_lines.line(state, width)
        assert isinstance(line, Content) and line.cell_length <= width
        if width >= 72:
            assert state.model.rpartition(":")[2] in line.plain


def test_a_model_stands_in_the_queue_once_and_what_goes_on_comes_first() -> None:
    old = PullState(id="1", model="a/b:Q4", stage="cancelled")
    new = PullState(id="2", model="a/b:Q4", stage="fetching")
    left = PullState(id="", model="a/b:Q4", stage="interrupted")
    other = PullState(id="3", model="c/d", stage="failed")
    done = PullState(id="4", model="e/f", stage="done")
    listed = pull_lines.listed([new, other, done, old], [left])
    assert [state.id for state in listed] == ["2", "3", "4"]
    assert [state.id for state in pull_lines.listed([new, other, done], [], {("4", "e/f")})] == ["2", "3"]


def test_the_recorded_engine_has_all_of_a_hub() -> None:
    assert isinstance(fake_engine(), Hub)


def test_an_ending_is_told_once() -> None:
    going, done = (PullState(id="1", model="a/b", stage=stage) for stage in ("fetching", "done"))
    failed = PullState(id="2", model="c/d", stage="failed")
    assert [kind for _, kind in endings([going], [done, failed])] == ["success", "error"]
    assert list(endings([done, failed], [done, failed])) == []

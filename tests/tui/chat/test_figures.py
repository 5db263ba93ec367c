"""Figures of an answer, and what was cut for it: told while it is written, and kept with it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.settings import Settings
from engine.settings.schema import Models
from engine.types import CacheMiss, Estimate, LoadedModel, Loading, Queued, Shifted
from tests.tui.fake_engine import fake_engine
from tui.recordings import estimate_of, said, whole


async def test_cached_tokens_are_told_with_the_reason_of_the_miss(chat) -> None:
    def answer(request):
        miss = CacheMiss(cause="adapter", token=412)
        return whole(request, said("Yes."), prompt=430, cached=412, miss=miss, guesses=(37, 15))

    async with chat(fake_engine(answer=answer), size=(160, 40)) as it:
        await it.say("Hello")
        shown = it.text_on_screen()
        assert "412 of 430 from cache · another adapter from token 413" in shown
        assert "37 of 52 guesses right" in shown


async def test_what_was_cut_is_told_at_once_and_stays(chat) -> None:
    def answer(request):
        return whole(request, [*said("Yes. "), Shifted(dropped=512), *said("And more.")], dropped=(3, 1204))

    async with chat(fake_engine(answer=answer, hold=True)) as it:
        await it.ask("Hello")
        it.stream.release(1)
        await it.until(lambda: "! 3 older messages left out" in it.text_on_screen())
        assert "(1,204 tokens)" in it.text_on_screen() and "forgotten" not in it.text_on_screen()
        it.stream.release(3)
        await it.until(lambda: "! 512 tokens forgotten to go on" in it.text_on_screen())
        it.stream.release()
        await it.idle()
        shown = it.text_on_screen()
        assert "! 3 older messages left out" in shown and "! 512 tokens forgotten" in shown
        assert (it.path[-1].dropped, it.path[-1].dropped_tokens, it.path[-1].shifted) == (3, 1204, 512)


async def test_a_window_smaller_than_asked_is_told(chat) -> None:
    async with chat() as it:  # the recorded engine has windows of 8,192 tokens
        await it.type_command("/set ctx 4096")
        await it.say("Hello")
        assert "the window is" not in it.text_on_screen()
        await it.type_command("/set ctx 999999")
        await it.say("Hello")
        assert "! the window is 8,192 tokens" in it.text_on_screen()


async def test_the_place_in_the_line_and_the_wait_are_told(chat) -> None:
    async with chat(fake_engine(hold=True)) as it:
        await it.ask("Hello")
        it.stream._coming.appendleft(Queued(position=2, eta_s=8.3))
        it.stream.release(1)
        await it.until(lambda: "place 2 in the queue · about 8 s" in it.screen.activity.render().plain)
        assert "esc cancels" in it.screen.activity.render().plain


@pytest.mark.parametrize("size", [(80, 24), (48, 20)])
async def test_a_load_is_told_with_stage_share_and_what_it_takes(chat, size: tuple[int, int]) -> None:
    engine = fake_engine(loaded=[], hold=True)
    ember = engine.entries[0]
    async with chat(engine, size=size) as it:
        await it.ask("Hello")
        engine.resident["ember"] = LoadedModel(id="ember", state="loading", estimate=estimate_of(ember))
        for event in (Loading(stage="weights", fraction=0.5), Loading(stage="estimating")):
            it.stream._coming.appendleft(event)
        it.stream.release(1)
        await it.until(lambda: "estimating its memory" in it.screen.activity.render().plain)
        assert "%" not in it.screen.activity.render().plain
        await it.until(lambda: "needs" in it.screen.activity.render().plain)
        it.stream.release(1)
        await it.until(lambda: "50%" in it.screen.activity.render().plain)
        first, second = it.screen.activity.render().plain.splitlines()
        assert "loading ember" in first and "━" in first and "reading the weights · needs" in second
        assert it.screen.activity.size.height == 2
        await it.press("escape")
        await it.idle()
        assert it.path[-1].stopped and it.screen.activity.size.height == 1


async def test_a_long_name_leaves_room_for_what_cancels_its_load(chat) -> None:
    name = "a-model-with-a-name-that-goes-on-and-on"
    engine = fake_engine(loaded=[], hold=True)
    engine.entries.append(replace(engine.entries[0], id=name))
    async with chat(engine, size=(80, 24), settings=Settings(models=Models(default=name))) as it:
        await it.ask("Hello")
        nothing = Estimate(model=name, context=0, slots=1, cells=0)
        engine.resident[name] = LoadedModel(id=name, state="loading", estimate=nothing)
        it.stream._coming.appendleft(Loading(stage="weights", fraction=0.5))
        it.stream.release(1)
        await it.until(lambda: "50%" in it.screen.activity.render().plain)
        await it.until(lambda: name in {model.id for model in it.app.sample.loaded})
        first, second = it.screen.activity.render().plain.splitlines()
        assert first.rstrip().endswith("esc cancels") and second.rstrip().endswith("reading the weights")


async def test_the_load_of_another_model_is_not_told(chat) -> None:
    engine = fake_engine(hold=True)  # in which qwen is on its way in, and ember ready
    async with chat(engine) as it:
        await it.until(lambda: it.app.sample.loaded)
        assert it.screen._estimate("qwen3-8b-instruct") is not None
        engine.resident["ember"] = LoadedModel(id="ember", state="loading")
        await it.until(lambda: sum(model.state == "loading" for model in it.app.sample.loaded) == 2)
        assert it.screen._estimate("smollm3-3b") is None


async def test_a_continued_answer_counts_all_its_tokens_and_is_timed_by_the_last_run(chat) -> None:
    async with chat(fake_engine(answer="one two three four five six", hold=True)) as it:
        await it.ask("Count.")
        it.stream.release(5)
        await it.until(lambda: it.path[-1].content == "one two three ")
        await it.press("escape")
        await it.idle()
        it.engine.answer, it.engine.hold = "four five six", False
        await it.press("escape", "c")
        await it.idle()
        answer, usage, timings = it.path[-1], it.path[-1].usage, it.path[-1].timings
        assert usage.completion_tokens == 3 and answer.written == 6
        rate = timings.decode_rate(3)
        assert f"{usage.prompt_tokens} → 6 tokens · {rate:.1f} tok/s" in it.text_on_screen()
        status = it.app.chat_status
        assert (status.context_used, status.rate) == (usage.total_tokens, rate)

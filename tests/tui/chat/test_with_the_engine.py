"""The chat on the real engine: a scripted model in a worker process of its own."""

from __future__ import annotations

import pytest

from engine import LocalEngine
from engine.paths import resolve
from engine.settings import Settings
from engine.settings.schema import Models, Ui

STORY = "scripted:delay_ms=5,text=" + " ".join(f"word{number}" for number in range(400))


@pytest.fixture
async def engine(tmp_path):
    made = LocalEngine(Settings(), paths=resolve({"HEARTH_HOME": str(tmp_path / "engine")}))
    yield made
    await made.close()


async def test_stop_and_continue_join_to_the_exact_text(chat, engine) -> None:
    async with chat(engine, settings=Settings(models=Models(default=STORY))) as it:
        it.screen.composer.prompt.load("Tell me a story.")
        await it.press("enter")
        await it.until(lambda: it.path and "word20" in it.path[-1].content)
        await it.press("escape")
        await it.idle()
        answer = it.path[-1]
        partial = answer.content
        whole = STORY.partition("text=")[2]
        assert answer.stopped and whole.startswith(partial) and len(partial) < len(whole)
        await it.press("escape", "c")
        await it.idle()
        # A scripted model begins its script anew behind the text that it is given to continue.
        assert answer.content == partial + whole and not answer.stopped and answer.finish == "stop"
        assert answer.usage is not None and answer.timings is not None and answer.timings.ttft_s > 0


async def test_a_worker_that_dies_is_told_and_replaced(chat, engine, tmp_path) -> None:
    once = tmp_path / "died"
    model = f"scripted:fail=kill,after=5,once={once},text=a b c d e f g h i j k l"
    async with chat(engine, settings=Settings(models=Models(default=model))) as it:
        it.screen.composer.prompt.load("Go on.")
        await it.press("enter")
        await it.until(lambda: it.path and it.path[-1].error is not None)
        await it.idle()
        error = it.path[-1].error
        assert error is not None and error.code == "worker_died"
        shown = it.text_on_screen().split()
        for sentence in (error.what, error.why, error.fix):
            assert sentence.split()[-4:] in [shown[place : place + 4] for place in range(len(shown))]
        await it.press("escape", "r")
        await it.idle()
        assert it.path[-1].content == "a b c d e f g h i j k l" and it.path[-1].error is None
        assert it.conversation.place(it.path[-1].id) == (2, 2)


async def test_without_following_the_screen_stays(chat, engine) -> None:
    text = "\n\n".join(f"line {number}" for number in range(80))
    settings = Settings(models=Models(default=f"scripted:delay_ms=1,text={text}"), ui=Ui(follow=False))
    async with chat(engine, settings=settings, size=(80, 24)) as it:
        it.screen.composer.prompt.load("Go on.")
        await it.press("enter")
        await it.until(lambda: it.path and it.path[-1].finish)
        await it.idle()
        assert it.path[-1].content == text
        assert not it.screen.view.following and it.screen.view.scroll_y < it.screen.view.max_scroll_y / 2

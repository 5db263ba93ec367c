"""Tool calls: shown as they are written, kept and sent, answered by hand; nothing that a model says is ever run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import TextArea

from engine.types import Finished, Tool, ToolCall, ToolChoice, ToolDelta
from tests.tui.fake_engine import fake_engine
from tui.recordings import called, said, whole
from tui.screens.chat.call_dialogue import CallDialogue
from tui.screens.chat.rows import Tick

QUITO = ToolCall(id="call_1", name="weather", arguments='{"city": "Quito"}')
OSLO = ToolCall(id="call_2", name="weather", arguments='{"city": "Oslo"}')


def calling(*calls: ToolCall, text: str = "I look it up."):
    """An engine that calls first, and answers once every call has a result."""

    def answer(request):
        results = [message for message in request.messages or () if message.role == "tool"]
        if results:
            return "It is " + " and ".join(message.text for message in results) + "."
        return whole(request, [*said(text), *called(*calls, after=4)])

    return fake_engine(answer=answer)


async def test_calls_are_drawn_as_they_are_written(chat) -> None:
    engine = calling(QUITO, OSLO)
    engine.hold = True
    async with chat(engine) as it:
        await it.ask("Weather?")
        it.stream.release(2 + 4 + 1 + 2)  # the text, the name, ten characters of the arguments
        await it.until(lambda: "ƒ weather" in it.text_on_screen())
        await it.until(lambda: '"city": ' in it.text_on_screen() or '"city"' in it.text_on_screen())
        assert "being written" in it.text_on_screen() and "Quito" not in it.text_on_screen()
        assert "calling weather" in it.screen.activity.render().plain
        it.stream.release()
        await it.idle()
        assert it.path[-1].tool_calls == [QUITO, OSLO] and it.path[-1].content == "I look it up."
        shown = it.text_on_screen()
        assert shown.count("ƒ weather") == 2 and '"city": "Oslo"' in shown
        assert shown.count("no result yet · t gives one") == 2


async def test_results_by_hand_go_back_to_the_model_in_order(chat) -> None:
    async with chat(calling(QUITO, OSLO)) as it:
        await it.say("Weather?")
        await it.press("escape", "t")
        assert isinstance(it.app.screen, CallDialogue)
        it.app.screen.query_one(TextArea).load_text('{"high": 19}')
        await it.press("ctrl+r")
        assert isinstance(it.app.screen, CallDialogue) and len(it.engine.requests) == 1
        it.app.screen.query_one(TextArea).load_text("cold")
        it.app.screen.query_one(Tick).focus()
        await it.press("space", "ctrl+r")
        await it.until(lambda: len(it.engine.requests) == 2)
        await it.idle()
        messages = it.engine.requests[1].messages
        assert [message.role for message in messages] == ["user", "assistant", "tool", "tool"]
        assert messages[1].tool_calls == (QUITO, OSLO) and messages[1].text == "I look it up."
        assert [(m.tool_call_id, m.tool_name, m.text, m.tool_error) for m in messages[2:]] == [
            ("call_1", "weather", '{"high": 19}', False),
            ("call_2", "weather", "cold", True),
        ]
        shown = it.text_on_screen()
        assert "↳ weather · failed" in shown and "answered: it failed" in shown and "▎ json" in shown
        assert it.path[-1].content == 'It is {"high": 19} and cold.'
        assert not it.conversation.open_calls()


@pytest.mark.parametrize("way", ["click", "command", "continue"])
async def test_there_are_more_ways_to_a_result(chat, way: str) -> None:
    async with chat(calling(QUITO)) as it:
        await it.say("Weather?")
        if way == "click":
            answer = it.screen.view.query(".-assistant").first()
            foot = next(y for y, line in enumerate(answer.lines) if line.mark.startswith("note "))
            await it.pilot.click(answer, offset=(8, foot))
        elif way == "command":
            await it.type_command("/result")
        else:
            await it.press("escape", "c")
        await it.until(lambda: isinstance(it.app.screen, CallDialogue))
        await it.press("escape")
        assert len(it.path) == 2 and len(it.engine.requests) == 1


async def test_a_result_can_be_saved_alone_edited_and_sent_on(chat) -> None:
    async with chat(calling(QUITO)) as it:
        await it.say("Weather?")
        await it.press("escape", "t", *"warm", "ctrl+s")
        await it.until(it.is_shown)
        assert it.path[-1].role == "tool" and len(it.engine.requests) == 1
        assert "answered" in it.text_on_screen() and "no result yet" not in it.text_on_screen()
        await it.press("e")
        it.app.screen.query_one(TextArea).load_text("[1]")
        await it.press("ctrl+r")
        await it.until(lambda: len(it.engine.requests) == 2)
        await it.idle()
        result = it.path[2]
        assert result.content == "[1]" and result.syntax == "json" and result.tool_call_id == "call_1"
        assert it.conversation.place(result.id) == (2, 2)
        await it.press("r")
        await it.idle()
        assert it.conversation.place(it.path[-1].id) == (2, 2) and it.path[2] is result


async def test_a_conversation_may_go_on_without_results(chat) -> None:
    async with chat(calling(QUITO)) as it:
        await it.say("Weather?")
        it.engine.answer = "Never mind."
        await it.say("Forget it.")
        messages = it.engine.requests[-1].messages
        assert messages[1].tool_calls == (QUITO,) and messages[2].text == "Forget it."
        shown = it.text_on_screen()
        assert "no result yet" in shown and "t gives one" not in shown
        await it.press("escape")
        assert not it.screen.check_action("answer_call", ())


async def test_arguments_of_any_kind_are_text(chat) -> None:
    hostile = '{"x": "\x1b]0;owned\x07[bold]b[/] \u202eexe", [' + "y" * 3000
    call = ToolCall(id="1", name="\x1b[2J[red]rm -rf[/]\n" + "n" * 300, arguments=hostile)
    async with chat(calling(call), size=(60, 24)) as it:
        await it.say("Weather?")
        shown = it.text_on_screen()
        assert it.path[-1].tool_calls == [call]
        assert "[bold]b[/]" in shown and "[red]rm -rf[/]" in shown
        assert not any(ord(letter) < 32 and letter != "\n" for letter in shown) and "\u202e" not in shown
        assert "more · space unfolds" in shown
        await it.press("escape", "space")
        await it.until(lambda: "space unfolds" not in it.text_on_screen())
        assert it.text_on_screen().count("y") > 2900


async def test_calls_without_ids_or_with_the_same_get_their_own(chat) -> None:
    pieces = [
        ToolDelta(index=0, name="a", arguments="{}"),
        ToolDelta(index=1, id="same", name="b", arguments="{}"),
        ToolDelta(index=2, id="same", name="c", arguments="{}"),
    ]
    async with chat(fake_engine(answer=lambda request: whole(request, pieces))) as it:
        await it.say("Weather?")
        ids = [call.id for call in it.path[-1].tool_calls]
        assert len(set(ids)) == 3 and ids[1] == "same" and all(ids)


async def test_a_stopped_call_is_kept_and_cannot_be_continued(chat) -> None:
    engine = calling(QUITO)
    engine.hold = True
    async with chat(engine) as it:
        await it.ask("Weather?")
        it.stream.release(2 + 4 + 2)
        await it.until(lambda: it.path[-1].tool_calls)
        await it.press("escape")
        await it.idle()
        assert it.path[-1].stopped and "■ stopped" in it.text_on_screen()
        assert "c continues" not in it.text_on_screen()
        assert it.screen.presenter.resume(it.conversation) is None


async def test_copying_a_message_takes_its_calls_along(chat, monkeypatch) -> None:
    copied: list[str] = []
    async with chat(calling(QUITO)) as it:
        monkeypatch.setattr(it.app, "copy", copied.append)
        await it.say("Weather?")
        await it.press("escape", "y")
        assert copied == ['I look it up.\n\n`weather`\n\n```json\n{\n  "city": "Quito"\n}\n```']


async def test_a_reader_who_is_elsewhere_is_not_moved_by_calls(chat) -> None:
    text = "".join(f"line {number}\n\n" for number in range(60))
    engine = calling(QUITO, text=text)
    engine.hold = True
    async with chat(engine, size=(80, 24)) as it:
        await it.ask("Weather?")
        it.stream.release(62)
        await it.until(lambda: it.screen.view.max_scroll_y > 10)
        it.screen.view.focus()
        await it.press("pageup")
        await it.until(lambda: not it.screen.view.following)
        row = it.screen.view.scroll_y
        it.stream.release(len(it.stream._coming) - 2)
        await it.until(lambda: it.path[-1].tool_calls)
        assert it.screen.view.scroll_y == row and "ƒ weather" not in it.text_on_screen()
        await it.press("G")
        await it.until(lambda: "ƒ weather" in it.text_on_screen())
        it.stream.release()
        await it.idle()


# --- offering tools


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two tools in the current folder."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps([{"name": "weather", "parameters": {"type": "object"}}, {"name": "clock"}]))
    monkeypatch.chdir(tmp_path)
    return file


async def test_tools_are_offered_by_command(chat, tools: Path) -> None:
    async with chat() as it:
        await it.type_command("/tools tools.json")
        await it.until(lambda: it.conversation.controls.tools)
        await it.type_command("/set tool_choice required")
        await it.say("Weather?")
        request = it.engine.requests[0]
        assert request.tools == (Tool(name="weather", parameters={"type": "object"}), Tool(name="clock"))
        assert request.tool_choice == ToolChoice(mode="required")
        await it.type_command("/tools off")
        await it.until(lambda: not it.conversation.controls.tools)
        await it.say("And now?")
        assert it.engine.requests[1].tools == () and it.engine.requests[1].tool_choice == ToolChoice()


async def test_tools_are_offered_in_the_inspector_and_a_wrong_file_is_told_in_place(
    chat, tools: Path
) -> None:
    async with chat(size=(120, 50)) as it:
        await it.press("ctrl+e")
        row = it.screen.inspector.query_one("#row-tools")
        row.entry.value = "missing.json"
        await it.until(lambda: row.has_class("-wrong"))
        assert it.conversation.controls.tools == ()
        row.entry.value = "tools.json"
        await it.until(lambda: it.conversation.controls.tools)
        assert "2: weather, clock" in str(row.query_one(".said").render())
        choice = it.screen.inspector.query_one("#calls")
        await it.until(lambda: choice.display)
        choice.focus()
        await it.press("space")
        await it.say("Weather?")
        assert it.engine.requests[0].tool_choice == ToolChoice(mode="none")


async def test_a_file_that_is_still_read_when_the_conversation_is_left_changes_no_other(
    chat, tools: Path
) -> None:
    async with chat(size=(120, 50)) as it:
        await it.say("one")
        await it.press("ctrl+e")
        it.screen.inspector.query_one("#set-tools").value = "tools.json"
        await it.pilot.pause()
        await it.press("ctrl+n")
        await it.say("two")
        await it.pilot.pause(0.5)
        assert [talk.controls.tools for talk in it.screen.presenter.conversations.every] == [(), ()]


async def test_a_call_ends_the_answer(chat) -> None:
    async with chat(calling(QUITO)) as it:
        await it.say("Weather?")
        assert it.path[-1].finish == "tool_calls"
        assert any(isinstance(event, Finished) for event in it.stream._sent)

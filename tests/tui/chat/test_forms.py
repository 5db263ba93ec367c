"""The form of an answer: JSON, a schema, a pattern, choices, a grammar; each asked for and shown as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import Unsupported
from engine.types import Constraint
from tests.tiers import mostly_long
from tests.tui.fake_engine import fake_engine

ANSWER = '{"city": "Quito", "tags": ["a", "b"]}'


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    (tmp_path / "grammar.gbnf").write_text('root ::= "a"')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "constraint"),
    mostly_long(
        [
            ("/json", Constraint(kind="json")),
            ("/json on", Constraint(kind="json")),
            ("/schema schema.json", Constraint(kind="schema", value={"type": "object"})),
            ('/schema {"type": "array"}', Constraint(kind="schema", value={"type": "array"})),
            ("/set regex [0-9]+", Constraint(kind="regex", value="[0-9]+")),
            ("/set choice yes | no", Constraint(kind="choice", value=["yes", "no"])),
            ("/set grammar grammar.gbnf", Constraint(kind="grammar", value='root ::= "a"')),
        ],
        1,
    ),
)
async def test_a_form_is_asked_for_and_taken_back(chat, command: str, constraint: Constraint) -> None:
    async with chat() as it:
        await it.type_command(command)
        await it.until(lambda: it.conversation.controls.constraint == constraint)
        await it.say("Tell me.")
        assert it.engine.requests[0].constraint == constraint
        off = {"/json": "/set json", "/schema": "/schema off"}.get(command.split()[0])
        await it.type_command(off or " ".join(command.split()[:2]))
        await it.until(lambda: it.conversation.controls.constraint is None)
        await it.say("And now?")
        assert it.engine.requests[1].constraint is None


async def test_json_that_is_off_goes_before_an_alias_that_asks_for_it(chat) -> None:
    async with chat(size=(120, 60)) as it:
        await it.press("ctrl+e")
        output = it.screen.inspector.query_one("#output")
        await it.type_command("/json off")
        await it.until(lambda: output.value == "text")
        await it.say("Tell me.")
        assert it.engine.requests[0].constraint == Constraint(kind="text")
        await it.type_command("/set json default")
        await it.until(lambda: it.conversation.controls.constraint is None and output.value == "")
        output.focus()
        await it.press("left")
        await it.until(lambda: it.conversation.controls.constraint == Constraint(kind="text"))
        await it.press("right")
        await it.until(lambda: it.conversation.controls.constraint is None)


async def test_one_form_takes_the_place_of_another(chat) -> None:
    async with chat() as it:
        await it.type_command("/json")
        await it.type_command("/set regex a+")
        await it.until(lambda: it.conversation.controls.constraint == Constraint(kind="regex", value="a+"))
        await it.type_command("/json off")  # was not what holds
        await it.pilot.pause()
        assert it.conversation.controls.constraint == Constraint(kind="regex", value="a+")


@pytest.mark.parametrize("command", ["/json", "/schema schema.json"])
async def test_an_answer_in_json_is_a_code_block_while_it_comes_and_after(chat, command: str) -> None:
    async with chat(fake_engine(answer=ANSWER, hold=True)) as it:
        await it.type_command(command)
        await it.until(lambda: it.conversation.controls.constraint is not None)
        await it.ask("Tell me.")
        it.stream.release(2 + 3)
        await it.until(lambda: '▎   "city": "Quito",' in it.text_on_screen())
        it.stream.release()
        await it.idle()
        assert it.path[-1].content == ANSWER
        lines = it.text_on_screen().splitlines()
        start = lines.index("▎ json")
        assert lines[start : start + 8] == [
            "▎ json",
            "▎ {",
            '▎   "city": "Quito",',
            '▎   "tags": [',
            '▎     "a",',
            '▎     "b"',
            "▎   ]",
            "▎ }",
        ]


async def test_what_is_no_json_is_shown_as_it_was_asked(chat) -> None:
    async with chat(fake_engine(answer='{"a": 1}')) as it:
        await it.type_command("/set regex .*")
        await it.say("Tell me.")
        assert "▎" not in it.text_on_screen() and '{"a": 1}' in it.text_on_screen()


async def test_the_inspector_turns_the_form_and_asks_for_what_it_needs(chat) -> None:
    async with chat(size=(120, 60)) as it:
        await it.press("ctrl+e")
        inspector = it.screen.inspector
        shape = inspector.query_one("#row-shape")
        assert not shape.display
        inspector.query_one("#output").focus()
        await it.press("space")
        await it.until(lambda: it.conversation.controls.constraint == Constraint(kind="json"))
        await it.press("space")
        await it.until(lambda: shape.display)
        assert it.conversation.controls.constraint is None and shape.entry.placeholder == "schema.json"
        shape.entry.value = "schema.json"
        await it.until(lambda: it.conversation.controls.constraint is not None)
        shape.entry.value = "missing.json"
        await it.until(lambda: shape.has_class("-wrong"))
        await it.press("space")
        await it.until(lambda: shape.entry.placeholder == "[0-9]{4}")
        assert it.conversation.controls.constraint is None and not shape.has_class("-wrong")
        shape.entry.value = "a+"
        await it.until(lambda: it.conversation.controls.constraint == Constraint(kind="regex", value="a+"))
        await it.say("Tell me.")
        assert it.engine.requests[0].constraint == Constraint(kind="regex", value="a+")
        await it.press("ctrl+n")
        await it.until(lambda: inspector.query_one("#output").value == "")
        await it.press("ctrl+pageup")
        await it.until(lambda: inspector.query_one("#output").value == "regex" and shape.entry.value == "a+")


async def test_a_model_that_cannot_follow_says_so_by_name(chat) -> None:
    error = Unsupported("This model cannot do output constraints of kind json.", "No.", param="constraint")
    async with chat(fake_engine(answer=error)) as it:
        await it.type_command("/json")
        await it.say("Tell me.")
        assert "output constraints of kind json" in it.text_on_screen()

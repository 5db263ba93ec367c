"""What an answer may hold beside text: calls for programs and for people, cuts, places in line, loads, thinking."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from cli.chat.oneshot import ask
from cli.chat.session import Session
from tests.cli.conftest import Open
from tests.cli.inside import ran as run
from tests.cli.recorded_chat import OSLO, QUITO, engine
from tests.cli.terminal import Terminal, hearth
from tests.tiers import mostly_long
from tui.recordings import said, whole

PROMPT = ">>> "
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"sky": {"enum": ["clear", "grey"]}},
                "required": ["sky"],
                "additionalProperties": False,
            },
        },
    }
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with tools and a schema."""
    (tmp_path / "tools.json").write_text(json.dumps(TOOLS))
    (tmp_path / "schema.json").write_text(json.dumps(TOOLS[0]["function"]["parameters"]))
    return tmp_path


def talk(on_terminal: Open, name: str) -> Terminal:
    terminal = on_terminal(sys.executable, "-m", "tests.cli.recorded_chat", name)
    terminal.expect("Ctrl-D leaves.")
    terminal.expect(PROMPT)
    return terminal


def say(terminal: Terminal, text: str) -> str:
    """Type a line; what is left on the screen of all that is written until the next prompt."""
    terminal.send(text + "\r")
    written = terminal.expect(PROMPT).decode()
    written = re.sub(r"[^\n]*\r\x1b\[2K", "", written)  # a line that is cleared is gone
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r\n", "\n")


# --- in a pipe


async def test_calls_are_lines_of_json_behind_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask(engine("calls"), Session("ember"), "Weather?") == 0
    out, err = capsys.readouterr()
    text, *lines = out.splitlines()
    assert text == "I look." and err == ""
    assert [json.loads(line)["tool_call"] for line in lines] == [
        {"id": call.id, "name": call.name, "arguments": json.loads(call.arguments)} for call in (QUITO, OSLO)
    ]


async def test_what_was_cut_is_said_on_stderr_whoever_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask(engine("cuts"), Session("ember"), "And?") == 0
    out, err = capsys.readouterr()
    assert out == "Yes. And on.\n"
    assert err.splitlines() == [
        "3 older messages left out: the window is full (1,204 tokens).",
        "512 tokens forgotten to go on: the window was full.",
    ]


async def test_an_answer_that_filled_the_window_is_said_to_be_cut(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = engine("cuts")
    recorded.answer = lambda request: [
        event if type(event).__name__ != "Finished" else type(event)(reason="context_full")
        for event in whole(request, said('{"a": '))
    ]
    assert await ask(recorded, Session("ember"), "And?") == 0
    assert capsys.readouterr().err == "The answer was cut: the window is full.\n"


async def test_a_call_that_broke_off_is_no_line_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = engine("calls")
    whole = recorded.answer

    def cut(request):
        return [
            event if type(event).__name__ != "Finished" else type(event)(reason="length")
            for event in whole(request)
        ]

    recorded.answer = cut
    await ask(recorded, Session("ember"), "Weather?")
    out, err = capsys.readouterr()
    assert [json.loads(line)["tool_call"]["id"] for line in out.splitlines()[1:]] == ["call_1"]
    assert err == "The call of weather was not finished, so it is left out.\n"


async def test_probabilities_are_lines_on_stderr_without_control_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    session = Session("ember", {"logprobs": ("1",)})
    recorded = engine("scores")
    await ask(recorded, session, "Is it?")
    assert recorded.requests[0].logprobs.top == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("Yes\n", "'Yes' -0.100  · 'No\\x1b[2J' -2.500\n")


def test_a_model_is_held_to_a_schema(hearth_home: Path, files: Path) -> None:
    steady = ("--max-new-tokens", "400", "--temperature", "0", "--think", "off")
    done = run(hearth_home, "chat", "ember", "How is the sky?", "--schema", f"{files}/schema.json", *steady)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sky"] in ("clear", "grey")


@pytest.mark.parametrize(
    ("flags", "pattern", "status"),
    mostly_long(
        [
            (("--regex", "[0-9]{3}"), r"\d{3}\n", 0),
            (("--choice", "yes", "--choice", "no"), "(yes|no)\n", 0),
            (("--grammar", "answer.gbnf"), "ab+\n", 0),
            # A number of tokens in which nothing is said that could be read as JSON.
            (("--json",), r"(?s)\s*\{.*", 1),
        ],
        2,
    ),
)
def test_a_model_is_held_to_other_forms(
    hearth_home: Path, tmp_path: Path, flags: tuple[str, ...], pattern: str, status: int
) -> None:
    (tmp_path / "answer.gbnf").write_text('root ::= "a" "b"+')
    steady = ("--max-new-tokens", "20", "--temperature", "0", "--think", "off")
    done = run(hearth_home, "chat", "ember", "Say.", *flags, *steady, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert re.fullmatch(pattern, done.stdout), done.stdout


def test_a_model_calls_a_tool_when_it_must(hearth_home: Path, files: Path, on_terminal: Open) -> None:
    arguments = ("chat", "ember", "How is the sky?", "--tools", str(files / "tools.json"))
    steady = ("--max-new-tokens", "400", "--temperature", "0", "--think", "off")
    must = (*arguments, "--tool-choice", "required", *steady)
    done = run(hearth_home, *must)
    assert done.returncode == 0, done.stderr
    call = json.loads(done.stdout)["tool_call"]
    assert call["name"] == "weather" and call["arguments"]["sky"] in ("clear", "grey") and call["id"]
    terminal = on_terminal(*hearth(*must))
    assert terminal.wait() == 0
    screen = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", terminal.screen).decode()
    assert re.search(r'ƒ weather\r\n\{\r\n  "sky": "(clear|grey)"\r\n\}\r\n$', screen)
    assert "tool_call" not in screen


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--json", "--regex", "a"), "--json and --regex cannot both hold."),
        (("--schema", "missing.json"), "--schema cannot be 'missing.json'."),
        (("--tools", "."), "--tools cannot be '.'."),
        (("--think", "perhaps"), "--think cannot be 'perhaps'."),
    ],
)
def test_a_wrong_form_is_refused_before_anything_is_loaded(
    hearth_home: Path, flags: tuple[str, ...], says: str
) -> None:
    done = run(hearth_home, "chat", "no-such-model", "hi", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"error: {says}"


def test_other_names_of_flags_are_taken(hearth_home: Path) -> None:
    done = run(hearth_home, "chat", "scripted:tokens=50", "hi", "--max-tokens", "3", "--context", "64")
    assert (done.returncode, done.stdout.split()) == (0, ["w0", "w1", "w2"])


# --- in a conversation


def test_calls_are_readable_and_answered_by_hand(on_terminal: Open, tmp_path: Path) -> None:
    terminal = talk(on_terminal, "calls")
    written = say(terminal, "Weather?")
    assert 'I look.\nƒ weather\n{\n  "city": "Quito"\n}\nƒ weather\n' in written
    assert '"\\u001b]0;owned\\u0007Oslo"' in written and "\x07" not in written
    assert "weather waits for its result: /result TEXT" in written
    assert "weather is answered. weather waits too." in say(terminal, "/result warm")
    assert "It is warm and cold." in say(terminal, "/result cold")
    assert "error: No tool call waits for a result." in say(terminal, "/result again")
    say(terminal, "/save talk.md")
    say(terminal, "/save talk.json")
    saved = (tmp_path / "here" / "talk.md").read_text()
    assert '## assistant\n\nI look.\n\n`weather`\n\n```json\n{\n  "city": "Quito"\n}\n```' in saved
    assert "## tool: weather\n\nwarm\n" in saved
    messages = json.loads((tmp_path / "here" / "talk.json").read_text())["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["call_1", "call_2"]
    assert [message["tool_call_id"] for message in messages[2:4]] == ["call_1", "call_2"]


def test_figures_say_what_the_cache_gave_and_what_was_cut(on_terminal: Open) -> None:
    terminal = talk(on_terminal, "cuts")
    written = say(terminal, "And?")
    assert "3 older messages left out: the window is full (1,204 tokens).\n" in written
    assert "512 tokens forgotten to go on: the window was full.\n" in written
    assert "412 of 430 from cache · other text from token 413 · 3 of 4 guesses right" in written
    assert "412 of them from the prefix cache (other text from token 413)" in say(terminal, "/stats")


def test_a_place_in_the_line_a_load_and_a_long_prompt_are_shown_and_gone(on_terminal: Open) -> None:
    terminal = talk(on_terminal, "waits")
    terminal.send("Hello\r")
    for words in (
        "place 2 in the queue · about 8 s",
        "loading ember · estimating its memory",
        "loading ember · reading the weights ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌ 50%",
        "reading 430 tokens",
    ):
        terminal.expect(words)
        terminal.expect(b"\r\x1b[2K")
    before = terminal.expect("Done.")
    assert b"reading" not in before.rpartition(b"\r\x1b[2K")[2]


def test_thinking_may_be_hidden_and_switched(on_terminal: Open) -> None:
    terminal = talk(on_terminal, "thinks")
    assert "hmm" in say(terminal, "hi")
    say(terminal, "/set hide_thinking on")
    written = say(terminal, "hi")
    assert "hmm" not in written and "yes\n" in written
    assert (
        "thinking: think on, effort low, think_budget 64"
        in [say(terminal, f"/think {word}") for word in ("on", "low", "64")][-1]
    )
    assert "thinking: think off, effort low" in say(terminal, "/think off")
    assert "thinking: effort high, think_budget 64" in say(terminal, "/think high")
    assert "error: --effort cannot be 'sideways'." in say(terminal, "/think sideways")
    assert "thinking: auto" in say(terminal, "/think auto")


def test_adapters_are_listed_and_chosen(on_terminal: Open) -> None:
    terminal = talk(on_terminal, "thinks")
    listed = say(terminal, "/adapter")
    assert "adapter: default\n  pirate\n  poet\n  fancy  (broken: It sets `use_dora`" in listed
    assert "adapter: pirate + poet=0.5" in say(terminal, "/adapter pirate poet=0.5")
    assert "adapter: pirate + poet=0.5" in say(terminal, "/adapter pirate+poet=0.5")
    switched = say(terminal, "/model qwen3-8b-instruct")
    assert "adapter: pirate + poet=0.5 is not of qwen3-8b-instruct, so it is left out" in switched
    assert "adapter: default" in say(terminal, "/adapter")
    say(terminal, "/model ember")
    assert "adapter: base" in say(terminal, "/adapter base")
    assert "adapter: default" in say(terminal, "/adapter default")
    assert "error: --adapter cannot be 'base' 'poet'." in say(terminal, "/adapter base poet")


def test_one_form_takes_the_place_of_another(on_terminal: Open, tmp_path: Path) -> None:
    (tmp_path / "here" / "schema.json").write_text("{}")
    (tmp_path / "here" / "tools.json").write_text(json.dumps(TOOLS))
    terminal = talk(on_terminal, "thinks")
    say(terminal, "/json")
    assert "json: on\n" in say(terminal, "/show")
    assert "error: --schema cannot be 'missing.json'." in say(terminal, "/schema missing.json")
    assert "json: on\n" in say(terminal, "/show")
    say(terminal, "/schema sch\t")
    shown = say(terminal, "/show")
    assert "json" not in shown.replace("schema.json", "") and "schema: schema.json\n" in shown
    say(terminal, "/tools tools.json")
    assert "tools: tools.json\n" in say(terminal, "/show")
    say(terminal, "/tools off")
    say(terminal, "/schema")
    assert "schema" not in say(terminal, "/show")


def test_the_estimate_is_told_in_a_conversation(on_terminal: Open) -> None:
    terminal = talk(on_terminal, "thinks")
    written = say(terminal, "/estimate")
    assert "needs 59 MiB of 9.0 GiB free" in written and "process 40 MiB" in written
    assert "A window of 2,048 tokens, 4 at once." in written

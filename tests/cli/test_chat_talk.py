"""A conversation on a terminal: messages, `/` commands, files, the editor, stopping and leaving."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Open
from tests.cli.terminal import Terminal, hearth

ECHO = "scripted:tokens=0"
SLOW = "scripted:tokens=100000,delay_ms=5"
PROMPT = ">>> "


Talk = Callable[..., Terminal]


@pytest.fixture
def talk(on_terminal: Open) -> Talk:
    """Open a conversation and wait for its prompt."""

    def start(model: str, *arguments: str, **extra: str) -> Terminal:
        terminal = on_terminal(*hearth("chat", model, *arguments), **extra)
        terminal.expect("Ctrl-D leaves.")
        terminal.expect(PROMPT)
        return terminal

    return start


def ask(terminal: Terminal, text: str) -> str:
    """Type a line; what is written until the next prompt, without colours."""
    terminal.send(text + "\r")
    written = terminal.expect(PROMPT).decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r\n", "\n")


def test_a_conversation_streams_answers_and_says_their_figures(talk: Talk) -> None:
    terminal = talk(ECHO)
    written = ask(terminal, "hello there")
    assert "You said: hello there\n" in written
    assert re.search(r"\n\d+ tokens · [\d.]+ tok/s · TTFT [\d.]+ s", written)
    assert "You said: again\n" in ask(terminal, "again")
    terminal.send(b"\x04")
    assert terminal.wait() == 0


def test_ctrl_c_stops_the_answer_and_keeps_what_was_written(talk: Talk) -> None:
    terminal = talk(SLOW)
    terminal.send("go\r")
    terminal.expect("w5 ")
    terminal.interrupt()
    assert b"stopped \xc2\xb7" in terminal.expect(PROMPT)
    shown = ask(terminal, "/show")
    assert "messages: 2\n" in shown
    ask(terminal, "/save talk.json")
    terminal.send(b"\x04")
    assert terminal.wait() == 0


def test_ctrl_c_twice_leaves(talk: Talk) -> None:
    terminal = talk(ECHO)
    terminal.interrupt()
    terminal.expect("Ctrl-C again leaves.")
    terminal.expect(PROMPT)
    terminal.interrupt()
    assert terminal.wait() == 130
    assert b"Traceback" not in terminal.screen
    assert terminal.attributes() == terminal.attributes_before


def test_ctrl_c_twice_leaves_while_an_answer_is_written(talk: Talk) -> None:
    terminal = talk(SLOW)
    terminal.send("go\r")
    terminal.expect("w5 ")
    terminal.interrupt()
    terminal.expect(PROMPT)
    terminal.interrupt()
    assert terminal.wait() == 130


def test_a_message_in_between_makes_ctrl_c_single_again(talk: Talk) -> None:
    terminal = talk(ECHO)
    terminal.interrupt()
    terminal.expect("Ctrl-C again leaves.")
    terminal.expect(PROMPT)
    assert "You said: still here\n" in ask(terminal, "still here")
    terminal.interrupt()
    terminal.expect("Ctrl-C again leaves.")


def test_ctrl_c_throws_away_a_line_without_leaving(talk: Talk) -> None:
    terminal = talk(ECHO)
    terminal.interrupt()
    terminal.expect("Ctrl-C again leaves.")
    terminal.expect(PROMPT)
    for typed in ("half a line", "one\\\r"):
        terminal.send(typed)
        terminal.expect("half a line" if typed[0] == "h" else "... ")
        terminal.interrupt()
        terminal.expect(PROMPT)
    assert "You said: still here\n" in ask(terminal, "still here")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_chat_and_leaves_the_terminal_as_it_was(talk: Talk, number: int) -> None:
    terminal = talk(ECHO)
    ask(terminal, "hi")
    workers = psutil.Process(terminal.pid).children()
    assert terminal.attributes() != terminal.attributes_before
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert terminal.attributes() == terminal.attributes_before
    assert b"Traceback" not in terminal.screen
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_lines_are_joined_by_a_backslash_and_between_quotes(talk: Talk) -> None:
    terminal = talk(ECHO)
    terminal.send("one\\\r")
    terminal.expect("... ")
    assert "You said: one\ntwo\n" in ask(terminal, "two")
    terminal.send('"""first\r')
    terminal.expect("... ")
    terminal.send("second\r")
    terminal.expect("... ")
    assert "You said: first\nsecond\nthird\n" in ask(terminal, 'third"""')
    assert "You said: all in one\n" in ask(terminal, '"""all in one"""')


def test_help_lists_every_command_and_an_unknown_one_is_an_error(talk: Talk) -> None:
    terminal = talk(ECHO)
    written = ask(terminal, "/help")
    for name in ("model", "system", "set", "show", "clear", "retry", "edit", "save", "stats", "exit"):
        assert f"/{name}" in written
    assert "error: There is no command /nope." in ask(terminal, "/nope")
    terminal.send("/exit\r")
    assert terminal.wait() == 0


def test_two_slashes_send_a_message_that_begins_with_one(talk: Talk) -> None:
    terminal = talk(ECHO)
    assert "You said: /help\n" in ask(terminal, "//help")


def test_set_changes_the_next_answer_and_default_takes_it_back(talk: Talk) -> None:
    terminal = talk("scripted:tokens=6")
    assert "w0 w1 w2 w3 w4 w5" in ask(terminal, "hi")
    ask(terminal, "/set max_new_tokens 2")
    assert "w0 w1\n2 tokens" in ask(terminal, "hi")
    assert "cut at the token limit" in ask(terminal, "/retry")
    ask(terminal, '/set stop "w3" w5')
    assert "stop: w3, w5\n" in ask(terminal, "/show")
    ask(terminal, "/set max_new_tokens default")
    assert "w0 w1 w2 \n4 tokens" in ask(terminal, "hi")
    assert "error: --temperature cannot be 'hot'." in ask(terminal, "/set temperature hot")
    assert "error: There is no option 'colour'." in ask(terminal, "/set colour red")


def test_flags_are_the_session_options(talk: Talk) -> None:
    terminal = talk(ECHO, "--temperature", "0.5", "--system", "Be brief.", "--stop", "a", "--stop", "b")
    shown = ask(terminal, "/show")
    assert "temperature: 0.5\n" in shown
    assert "system: Be brief.\n" in shown
    assert "stop: a, b\n" in shown
    ask(terminal, "/system You are a pirate.")
    assert "system: You are a pirate.\n" in ask(terminal, "/show")
    ask(terminal, '/system ""')
    assert "pirate" not in ask(terminal, "/show")


def test_model_switches_and_a_wrong_one_changes_nothing(talk: Talk) -> None:
    terminal = talk(ECHO)
    assert "error: " in ask(terminal, "/model scripted:colour=red")
    assert "You said: hi\n" in ask(terminal, "hi")
    ask(terminal, "/model scripted:text=another")
    assert "another\n" in ask(terminal, "hi")


def test_clear_forgets_and_stats_tells_of_the_last_answer(talk: Talk) -> None:
    terminal = talk(ECHO)
    assert "error: There is no answer yet." in ask(terminal, "/stats")
    ask(terminal, "hi")
    written = ask(terminal, "/stats")
    assert re.search(r"prompt \d+ tokens, \d+ of them from the prefix cache", written)
    assert "prefill " in written
    ask(terminal, "/clear")
    assert "messages: 0\n" in ask(terminal, "/show")
    assert "error: There is no question to answer again." in ask(terminal, "/retry")


def test_save_writes_markdown_or_json_and_never_over_a_file(talk: Talk, tmp_path: Path) -> None:
    terminal = talk(ECHO)
    ask(terminal, "hi")
    assert "saved 2 messages to talk.md" in ask(terminal, "/save talk.md")
    assert "error: talk.md exists already." in ask(terminal, "/save talk.md")
    ask(terminal, "/save talk.json")
    here = tmp_path / "here"
    assert (here / "talk.md").read_text() == "## user\n\nhi\n\n## assistant\n\nYou said: hi\n"
    saved = json.loads((here / "talk.json").read_text())
    assert saved["model"] == ECHO
    assert [(m["role"], m["content"]) for m in saved["messages"]] == [
        ("user", "hi"),
        ("assistant", "You said: hi"),
    ]


def test_a_file_goes_along_with_its_token_count(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "here" / "notes.txt").write_text("buy milk\n")
    terminal = talk(ECHO)
    written = ask(terminal, "Look at @notes.txt, please")
    assert re.search(r"\nnotes\.txt: \d+ tokens\n", written)
    assert "You said: Look at @notes.txt, please\n\nnotes.txt:\n```txt\nbuy milk\n```\n" in written


def test_a_file_that_cannot_go_along_is_refused_and_nothing_is_sent(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "here" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "here" / "long.txt").write_text("word " * 500)
    terminal = talk("scripted:tokens=3,context=64")
    assert "error: @picture.png cannot go along." in ask(terminal, "What is in @picture.png ?")
    assert "error: @long.txt does not fit." in ask(terminal, "What is in @long.txt ?")
    assert "messages: 0\n" in ask(terminal, "/show")
    assert "w0 w1 w2" in ask(terminal, "Write to me@here or @nobody")


@pytest.fixture
def editor(tmp_path: Path) -> str:
    """An editor that turns its text to capitals and adds a line."""
    script = tmp_path / "capitals"
    script.write_text(
        '#!/bin/sh\ntr a-z A-Z < "$1" > "$1.new" && echo "and more" >> "$1.new" && mv "$1.new" "$1"\n'
    )
    script.chmod(0o755)
    return str(script)


def test_edit_opens_the_editor_for_the_message(talk: Talk, editor: str) -> None:
    terminal = talk(ECHO, VISUAL="", EDITOR=editor)
    assert "You said: DRAFT\nand more\n" in ask(terminal, "/edit draft")


def test_ctrl_x_ctrl_e_takes_the_line_so_far_to_the_editor(talk: Talk, editor: str) -> None:
    import readline

    if "libedit" in (readline.__doc__ or ""):
        pytest.skip("libedit has no macro for this key")
    terminal = talk(ECHO, VISUAL="", EDITOR=editor)
    terminal.send("one\\\r")
    terminal.expect("... ")
    terminal.send(b"two\x18\x05")
    assert "You said: ONE\nTWO\nand more\n" in ask(terminal, "")


def test_an_editor_that_fails_sends_nothing(talk: Talk) -> None:
    terminal = talk(ECHO, VISUAL="", EDITOR="false")
    assert "error: The editor 'false' failed." in ask(terminal, "/edit draft")
    assert "messages: 0\n" in ask(terminal, "/show")


def test_tab_completes_commands_options_and_files(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "here" / "shopping-list.txt").write_text("milk\n")
    terminal = talk(ECHO)
    assert "messages: 0\n" in ask(terminal, "/sho\t")
    assert "temperature: 0.1\n" in ask(terminal, "/set temp\t 0.1")
    assert "shopping-list.txt:\n```txt\nmilk\n" in ask(terminal, "read @shop\t")


def test_the_arrow_brings_back_what_was_typed_in_an_earlier_chat(talk: Talk, hearth_home: Path) -> None:
    first = talk(ECHO)
    ask(first, "remember me")
    first.send(b"\x04")
    first.wait()
    second = talk(ECHO)
    assert "You said: remember me\n" in ask(second, "\x1b[A")
    file = hearth_home / "state" / "history.jsonl"
    assert os.stat(file).st_mode & 0o777 == 0o600


def test_a_failed_answer_is_told_and_the_chat_goes_on(talk: Talk, tmp_path: Path) -> None:
    terminal = talk(f"scripted:tokens=4,fail=exit,after=2,once={tmp_path / 'failed'}")
    assert "error: " in ask(terminal, "hi")
    assert "w0 w1 w2 w3" in ask(terminal, "hi")

"""What really reaches the terminal: hostile text shown in a pseudo-terminal, raw bytes inspected."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
APP = Path(__file__).with_name("pty_app.py")

PAYLOADS = {
    "set the title": "\x1b]0;PWNED-title\x07",
    "write the clipboard": "\x1b]52;c;UFdORUQ=\x07",
    "clear the screen": "\x1b[2J\x1b[3J\x1b[HPWNED-clear",
    "move the cursor": "\x1b[99;99HPWNED-move",
    "C1 introducer": "\x9b31mPWNED-c1\x9d0;PWNED-osc\x9c",
    "hyperlink": "\x1b]8;;http://pwned\x1b\\PWNED-link\x1b]8;;\x1b\\",
    "device control": "\x1bPq#0;2;0;0;0PWNED-dcs\x1b\\",
    "overwrite the line": "safe\rPWNED-cr\x08\x08\x0b\x0c",
    "reorder text": "\u202ePWNED-bidi\u2066\u200f",
    "markup": "[@click=app.quit]PWNED-markup[/] [/nope] [red on",
    "spelt in Markdown": "&#27;]0;PWNED-entity&#7; <http://a/%1b]0;PWNED-url%07> &#x9b;2J &#x202e;",
    "alternate screen and modes": "\x1b[?1049l\x1b[?25h\x1bc PWNED-mode",
}


def bytes_written(payload_file: Path) -> tuple[bytes, int]:
    """Everything the app writes to its terminal, and its exit status."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "PYTHONPATH": str(REPOSITORY),
    }
    process = subprocess.Popen(
        [sys.executable, str(APP), str(payload_file)],
        stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=REPOSITORY, close_fds=True,
    )  # fmt: skip
    os.close(slave)
    written = bytearray()
    try:
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the last holder of the terminal has gone
                break
            if not chunk:
                break
            written += chunk
    finally:
        os.close(master)
        if process.poll() is None:
            process.wait(timeout=30)
    return bytes(written), process.returncode


# What Textual itself may send: styles, cursor placement, erasing a line's rest, modes and queries.
STYLES_AND_PLACES = re.compile(rb"\x1b\[[0-9;:]*[mHKABCD]")


def test_no_payload_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    quiet, hostile = tmp_path / "quiet", tmp_path / "hostile"
    quiet.write_text("\0".join("harmless text" for _ in PAYLOADS), encoding="utf-8", newline="")
    hostile.write_text("\0".join(PAYLOADS.values()), encoding="utf-8", newline="")
    usual, usual_status = bytes_written(quiet)
    shown, status = bytes_written(hostile)
    assert (usual_status, status) == (0, 0)
    assert b"every-payload-was-shown" in shown, "the app lived to the end"
    assert b"PWNED-markup" in shown and b"PWNED-title" in shown, "payloads were shown, as text"

    # Beyond styles and places, the hostile run sends only commands that the harmless run sends too.
    assert commands(shown) <= commands(usual)
    text = STYLES_AND_PLACES.sub(b"", shown).decode("utf-8")
    assert not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]", text)
    assert set(re.findall("[\x00-\x1a\x1c-\x1f\x7f]", text)) <= set(
        re.findall("[\x00-\x1a\x1c-\x1f\x7f]", STYLES_AND_PLACES.sub(b"", usual).decode("utf-8"))
    )


def commands(written: bytes) -> set[bytes]:
    """Every escape sequence but styles and places: introducer with its next ten bytes at most."""
    rest = STYLES_AND_PLACES.sub(b"", written)
    return {found[0] for found in re.finditer(rb"\x1b(?:\[[0-9;:?<>=$]*[a-zA-Z]|\].{0,8}|P.{0,8}|.)", rest)}

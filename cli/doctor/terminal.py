"""What this terminal can show, by its environment alone: nothing is asked of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from cli.doctor.check import Check

SMALLEST = (80, 24)
KITTY = ("kitty", "ghostty", "WezTerm")
SIXEL = ("foot", "mlterm", "contour", "WezTerm", "mintty")
ITERM = ("iTerm.app", "WezTerm", "mintty")


def checks(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Colours, characters, size, mouse, pictures."""
    return [colours(environ), characters(environ), size(), mouse(environ), pictures(environ)]


def colours(environ: Mapping[str, str]) -> Check:
    """How many colours it shows."""
    term = environ.get("TERM", "")
    if environ.get("NO_COLOR"):
        return Check("colours", "ok", "none, as NO_COLOR asks")
    if term in ("", "dumb"):
        return Check(
            "colours", "note", f"none: TERM is {term or 'not set'}", "Set TERM, such as to xterm-256color."
        )
    if environ.get("COLORTERM") in ("truecolor", "24bit") or "direct" in term:
        return Check("colours", "ok", "16 million")
    if "256" in term or "kitty" in term:
        return Check(
            "colours",
            "ok",
            "256 (16 million where the terminal says COLORTERM=truecolor)",
        )
    return Check("colours", "note", f"16, by TERM={term}", "The theme `terminal` is made for that.")


def characters(environ: Mapping[str, str]) -> Check:
    """Whether it is told to show more than ASCII."""
    said = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    if "utf8" in said.lower().replace("-", "") or encoding == "utf8":
        return Check("characters", "ok", said or "UTF-8")
    fix = "Set LANG to a UTF-8 locale, such as C.UTF-8."
    return Check("characters", "note", f"{said or encoding or 'unknown'} is not UTF-8", fix)


def size() -> Check:
    """Columns and lines."""
    if not sys.stdout.isatty():
        return Check("terminal", "ok", "this output is none")
    columns, lines = shutil.get_terminal_size()
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        fix = f"The workstation is made for {SMALLEST[0]}×{SMALLEST[1]} and more."
        return Check("terminal", "note", f"{columns}×{lines}", fix)
    return Check("terminal", "ok", f"{columns}×{lines}")


def mouse(environ: Mapping[str, str]) -> Check:
    """Whether clicks and the wheel are likely to arrive."""
    term = environ.get("TERM", "")
    if term in ("", "dumb", "linux"):
        return Check("mouse", "note", f"none with TERM={term}", "Everything can be done by keys.")
    if environ.get("TMUX"):
        return Check("mouse", "ok", "through tmux, where `set -g mouse on` is set")
    return Check("mouse", "ok", "reports clicks and the wheel")


def pictures(environ: Mapping[str, str]) -> Check:
    """Which protocols for pictures the terminal's name promises."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    names = f"{term} {program}"
    found = []
    if environ.get("KITTY_WINDOW_ID") or any(name.lower() in names.lower() for name in KITTY):
        found.append("kitty")
    if program in ITERM:
        found.append("iTerm2")
    if "sixel" in term or any(name.lower() in names.lower() for name in SIXEL):
        found.append("sixel")
    said = ", ".join(found) or "no protocol that its name promises"
    if found and environ.get("TMUX"):
        said += ", if tmux lets it through"
    return Check("pictures", "ok", said)

"""What is said when the app was ended by a signal: which one, the likely cause, what to do."""

from __future__ import annotations

import signal
import sys

from cli.terminal_text import paint

CAUSES = {
    signal.SIGKILL: "It was killed from outside; short memory does that too.",
    signal.SIGSEGV: "A native library crashed.",
    signal.SIGBUS: "A native library crashed, or a file it had mapped was cut short.",
    signal.SIGABRT: "A native library stopped at a failed check.",
    signal.SIGILL: "A native library was built for another processor.",
    signal.SIGQUIT: "It was asked to quit at once.",
    signal.SIGINT: "It was interrupted.",
}


def explain(number: int) -> str:
    """Three lines, what, why and fix, for the death by signal `number`."""
    try:
        known = signal.Signals(number)
    except ValueError:
        name, cause = "a signal", "It did not end by itself."
    else:
        name, cause = known.name, CAUSES.get(known, "It did not end by itself.")
    label = paint("error:", "1;31", sys.stderr)
    return (
        f"{label} Hearth was ended by {name} (signal {number}).\n"
        f"  {cause}\n"
        "  The terminal is restored; start it again with `hearth`.\n"
    )

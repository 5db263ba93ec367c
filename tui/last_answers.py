"""After the screen is gone: answers that the workstation's own server still sends may end, and somebody may hurry them.

A screen that was left by a signal waits less: the launcher, and whoever ends a machine, kill what does not go.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tui.serving import Serving

SIGNALLED_S: Final = 3.0
"""How long answers may go on where a signal ended the screen."""
_LOOK_S: Final = 0.05
_HURRY: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def let_end(serving: Serving, drain_seconds: float, *, signalled: bool) -> None:
    """Switch the server off and wait for that: at most so long, or until Ctrl+C or another signal. Main thread only."""
    if not serving.answers or drain_seconds <= 0:
        serving.stop(now=True)
        return
    patience = min(drain_seconds, SIGNALLED_S) if signalled else drain_seconds
    count = serving.answers
    what = "An answer is" if count == 1 else f"{count} answers are"
    _say(f"{what} still being sent to other programs; at most {patience:g} s. Ctrl+C ends them now.")
    stopping = threading.Thread(target=serving.stop, name="last-answers", daemon=True)
    with _hurry_asked() as asked:
        until = time.monotonic() + patience
        stopping.start()
        while stopping.is_alive():
            stopping.join(_LOOK_S)
            hurry = asked.is_set() or time.monotonic() > until
            if hurry and serving.state == "stopping":
                serving.stop(now=True)


@contextlib.contextmanager
def _hurry_asked() -> Iterator[threading.Event]:
    """Set once a signal that ends programs comes."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in _HURRY}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    """On the plain terminal, which may be gone."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)

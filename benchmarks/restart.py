"""After a kill in mid-answer, over a store of 100,000 messages: from the start of the next process until it is usable.

    python -m benchmarks.restart [--quick]

A process writes an answer and is killed. The next one, a whole interpreter, opens the store,
which checks the file and brings in order what was cut off, lists the conversations and reads that one. The clock
runs from its start to its last answer; no model is loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.conversations import fill
from benchmarks.figure import state
from engine import LocalConversations
from engine.paths import resolve

LIMIT_S = 2.0
_COMMON = """
import asyncio, os, sys
from engine import LocalConversations, parse_query
from engine.paths import resolve
from engine.types import StoredMessage
paths = resolve({"HEARTH_HOME": sys.argv[1]})
"""
KILLED = (
    _COMMON
    + """
async def main():
    kept = LocalConversations(paths)
    said = [StoredMessage(id="q", role="user", content="Go on."),
            StoredMessage(id="a", parent="q", role="assistant", state="writing")]
    await kept.save(sys.argv[2], said)
    half = StoredMessage(id="a", parent="q", role="assistant", content="half", state="writing")
    await kept.journal(sys.argv[2], half)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
)
NEXT = (
    _COMMON
    + """
async def main():
    kept = LocalConversations(paths)
    await kept.find(parse_query(""))
    last = (await kept.get(sys.argv[2])).messages[-1]
    assert last.content == "half" and last.state == "interrupted", last
    await kept.close()
asyncio.run(main())
"""
)


def run(script: str, home: Path, name: str) -> float:
    """Run `script` in a process of its own; how long it took, s."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script, str(home), name], check=script is not KILLED)
    return time.perf_counter() - began


def main(argv: list[str]) -> int:
    """Measure, print, return 0 if the limit holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 messages, three kills instead of nine")
    quick = parser.parse_args(argv).quick
    count, kills = (20_000, 3) if quick else (100_000, 9)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        async def begin() -> None:
            kept = LocalConversations(resolve({"HEARTH_HOME": folder}))
            await fill(kept, count)
            await kept.close()

        asyncio.run(begin())
        times = []
        for number in range(kills):
            run(KILLED, home, f"talk-{number}")
            times.append(run(NEXT, home, f"talk-{number}"))
    middle = statistics.median(times)
    print(f"restarts, s: {', '.join(f'{each:.2f}' for each in times)}")
    name = f"restart after a kill, {count:,} messages"
    return int(not state(name, f"{middle:.2f} s", f"{LIMIT_S:.0f} s", holds=middle < LIMIT_S))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

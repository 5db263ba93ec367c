"""A server that is killed while a page's answer is written: what was said is there, and the answer as far as it got."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.api.web.conftest import CHEAP, HTML, HTMX, PASSWORD, begin, sign_in

pytestmark = pytest.mark.long

SERVE = """
import asyncio, sys, time
from api import Server
from engine import LocalEngine
from engine.paths import resolve
from engine.settings import Settings
from engine.store.web import WebStore
from api.security import passwords
from argon2 import PasswordHasher
passwords._hasher = lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
paths = resolve({"HEARTH_HOME": sys.argv[1]})
engine = LocalEngine(Settings(), screen_attached=False, paths=paths)
server = Server(engine, Settings(), paths=paths, port=0, scripted=True)
WebStore(server.hub.store).set_password(sys.argv[2])
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


class Served:
    """The server in a process of its own."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", SERVE, str(home), CHEAP.hash(PASSWORD)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.client = httpx.Client(base_url=self.process.stdout.readline().strip(), timeout=60)
        sign_in(self.client)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_twenty_kills_lose_no_question_and_little_of_an_answer(tmp_path: Path) -> None:
    chance = random.Random(7)
    served = Served(tmp_path)
    try:
        for place in range(20):
            conversation = begin(served.client, f"Question {place}", "scripted:tokens=100000,delay_ms=10")
            came: list[tuple[float, int]] = []
            events = f"/chat/conversations/{conversation}/events"
            with served.client.stream("GET", events, headers=HTMX) as answer:
                until = time.monotonic() + chance.uniform(0.3, 2.0)
                for piece in answer.iter_text():
                    words = re.findall(r"\bw(\d+)\b", piece)
                    now = time.monotonic()
                    if words:
                        came.append((now, int(words[-1])))
                    if now > until and came:
                        break
            killed = time.monotonic()
            served.kill()
            served = Served(tmp_path)
            page = served.client.get(f"/chat/conversations/{conversation}", headers=HTML).text
            assert f"Question {place}" in page and page.count('class="turn ') == 2
            assert "Cut off" in page
            kept = [int(word) for word in re.findall(r"\bw(\d+)\b", page.partition('class="turn answer"')[2])]
            # What a page had seen half a second before is there; a busy machine may take a while to write it down.
            seen = [word for moment, word in came if moment < killed - 1.5]
            assert not seen or (kept and max(kept) >= max(seen))
    finally:
        served.kill()

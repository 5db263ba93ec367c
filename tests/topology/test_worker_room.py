"""Where a worker lives: no busy screen, no native chatter, no foreign folder and no dead app can touch it."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from engine.local import LocalEngine
from engine.runtime.host import cause, environment
from engine.settings import Runtime, Settings
from engine.stream import EventStream
from engine.types import Delta, Done, GenerationRequest, Message, StreamEvent
from tests.topology.conftest import Open
from tui.run import SWITCH_INTERVAL_S


def ask(model: str, **fields: object) -> GenerationRequest:
    return GenerationRequest(model=model, prompt="hello", **fields)  # type: ignore[arg-type]


async def test_a_blocked_screen_leaves_the_gaps_of_a_stream_unchanged(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app's thread computes for half a second, loop and interpreter lock in hand; tokens arrive all the same."""
    arrived: list[int] = []
    push = EventStream.push

    def stamped(stream: EventStream, event: StreamEvent) -> None:
        if isinstance(event, Delta):
            arrived.append(time.monotonic_ns())
        push(stream, event)

    monkeypatch.setattr(EventStream, "push", stamped)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        stream = engine.generate(ask("scripted:tokens=200,delay_ms=10"))
        async for event in stream:
            if isinstance(event, Delta):
                break
        start = time.monotonic_ns()
        while (end := time.monotonic_ns()) < start + 500_000_000:
            sum(range(1000))
        assert isinstance(await stream.wait(), Done)
    finally:
        sys.setswitchinterval(before)
    meanwhile = [moment for moment in arrived if start <= moment <= end]
    rest = [moment for moment in arrived if moment > end]
    free = statistics.median(two - one for one, two in pairwise(rest))
    blocked = statistics.median(two - one for one, two in pairwise(meanwhile))
    assert blocked < 2 * free
    assert len(meanwhile) > (end - start) / free / 2, "tokens came while the screen stood still"


async def test_native_chatter_reaches_the_log_and_nothing_else(
    engine: LocalEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    model = 'scripted:{"chatter": "ggml says hi\\n", "tokens": 30}'
    got = [event async for event in engine.generate(ask(model))]
    assert isinstance(got[-1], Done)
    assert "".join(event.text for event in got if isinstance(event, Delta)).endswith("w29")
    await engine.close()
    lines = [line for line in engine.logs() if line.text == "ggml says hi"]
    assert len(lines) >= 60 and {line.origin for line in lines} == {model}
    assert capfd.readouterr() == ("", "")


APP = """
import asyncio, json, sys
from engine.local import LocalEngine
from engine.types import Delta, GenerationRequest

async def main():
    engine = LocalEngine()
    if sys.argv[1] == "answer":
        stream = engine.generate(GenerationRequest(model="scripted:text=ours", prompt="x"))
        print("".join([event.text async for event in stream if isinstance(event, Delta)]), flush=True)
        await engine.close()
        return
    streams = []
    for model in sys.argv[2:]:
        # One behind the other: loads are begun in turn, and the last of these comes to no end.
        streams.append(engine.generate(GenerationRequest(model=model, prompt="x")))
        while not any(each.id == model and each.pid for each in engine.loaded()):
            await asyncio.sleep(0.01)
    print(json.dumps([each.pid for each in engine.loaded()]), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def app_environment(repository: Path, home: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repository), "HEARTH_HOME": str(home)}


def test_nothing_is_imported_from_the_users_folder(repository: Path, tmp_path: Path) -> None:
    for name in ("engine", "api", "tui", "cli", "msgspec", "asyncio"):
        decoy = tmp_path / "project" / name
        decoy.mkdir(parents=True)
        (decoy / "__init__.py").write_text("import os; os.write(2, b'decoy'); os._exit(66)\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", APP, "answer"],
        cwd=tmp_path / "project",
        env=app_environment(repository, tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ours\n", "")


def test_the_workers_path_holds_no_relative_folder(repository: Path) -> None:
    made = environment({"PYTHONPATH": os.pathsep.join(["", ".", "relative", "/absolute"])}, passive=True)
    assert made["PYTHONPATH"].split(os.pathsep) == [str(repository), "/absolute"]
    assert made["OMP_WAIT_POLICY"] == "passive"
    assert int(made["GOMP_SPINCOUNT"]) > 0
    assert environment({"GOMP_SPINCOUNT": "7"}, passive=True)["GOMP_SPINCOUNT"] == "7"
    assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment({}, passive=False).keys()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_app(repository: Path, tmp_path: Path, how: signal.Signals) -> None:
    """Workers in mid-decode, in a prefill of hours and in a load all go with the app."""
    models = ["scripted:tokens=1000000,delay_ms=1", "scripted:token_us=1000000000", "scripted:load_ms=600000"]
    app = subprocess.Popen(
        [sys.executable, "-P", "-c", APP, "stay", *models],
        cwd=tmp_path,
        env=app_environment(repository, tmp_path / "home"),
        stdout=subprocess.PIPE,
    )
    try:
        assert app.stdout is not None
        pids = json.loads(app.stdout.readline())
        workers = [psutil.Process(pid) for pid in pids]
        assert len(workers) == 3
        app.send_signal(how)
        gone, alive = psutil.wait_procs(workers, timeout=2)
        assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
        assert len(gone) + len(alive) == 3
    finally:
        app.kill()
        app.wait()
        app.stdout.close()


async def test_a_worker_is_away_from_the_terminal(engine: LocalEngine) -> None:
    await engine.load("scripted:")
    (loaded,) = engine.loaded()
    assert loaded.pid is not None
    worker = psutil.Process(loaded.pid)
    assert os.getsid(loaded.pid) == loaded.pid != os.getsid(0)
    if sys.platform == "linux":
        folder = Path(f"/proc/{loaded.pid}/fd")
        targets = {int(fd): os.readlink(folder / fd) for fd in os.listdir(folder)}
        assert targets[0] == "/dev/null"
        assert targets[1].startswith("pipe:") and targets[1] == targets[2]
        others = [target for fd, target in targets.items() if fd > 2]
        assert len(others) == 1 and others[0].startswith("socket:"), "no descriptor of the app came along"
    os.kill(loaded.pid, signal.SIGINT)
    tokens = await engine.tokenize("scripted:", "still here")
    assert tokens and worker.is_running()


def test_causes_in_words() -> None:
    assert cause(None) == "Its connection broke."
    assert cause(3) == "It exited with status 3."
    assert "memory ran out" in cause(-signal.SIGKILL)
    assert "native library" in cause(-signal.SIGABRT)


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="this platform has no priorities of processes")
@pytest.mark.parametrize(
    ("screen", "exclusive", "lower"), [(True, False, 5), (True, True, 0), (False, False, 0)]
)
async def test_only_a_passive_worker_beside_a_screen_makes_way(
    open_engine: Open, screen: bool, exclusive: bool, lower: int
) -> None:
    engine = open_engine(Settings(runtime=Runtime(exclusive=exclusive)), screen_attached=screen)
    await engine.load("scripted:")
    pid = engine.loaded()[0].pid
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) - os.getpriority(os.PRIO_PROCESS, 0) == lower


WATCHES_IMPORTS = """
import sys, threading
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("engine.prompt") and threading.current_thread() is not threading.main_thread():
            with open({file!r}, "a") as file:
                file.write(name + "\\n")
sys.meta_path.insert(0, Watch())
"""


async def test_a_workers_threads_import_no_part_of_what_all_of_them_need(
    open_engine: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that import parts of one package at the same time can end in a deadlock of Python's."""
    seen = tmp_path / "seen"
    (tmp_path / "sitecustomize.py").write_text(WATCHES_IMPORTS.format(file=str(seen)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = open_engine(Settings())
    messages = (Message(role="user", content="hi"),)
    end = await engine.generate(GenerationRequest(model="scripted:text=a", messages=messages)).wait()
    assert isinstance(end, Done), f"{end}"
    assert not seen.exists() or set(seen.read_text().split()) <= {"engine.prompt.context"}

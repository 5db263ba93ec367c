"""A process that runs jobs until it is killed, and submits some: `python -m tests.engine.jobs.runner_process HOME N`.

Writes `ready`, then the id of each job that was accepted, a line each.
"""

from __future__ import annotations

import asyncio
import sys

from engine.local import LocalEngine
from engine.paths import resolve
from engine.settings import Jobs as JobSettings
from engine.settings import Settings
from tests.engine.jobs.asking import asking


async def main(home: str, submits: int) -> None:
    settings = Settings(jobs=JobSettings(workers=4, backoff=0.1))
    engine = LocalEngine(settings, paths=resolve({"HEARTH_HOME": home}))
    await engine.jobs.work()
    print("ready", flush=True)
    for number in range(submits):
        job = await engine.jobs.submit(asking(f"submitted {number}", model="scripted:delay_ms=5,text=x y z"))
        print(job.id, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

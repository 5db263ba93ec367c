"""A process that does mixed operations on one state folder: `python -m tests.engine.jobs.mixed_process HOME NAME N`.

It prints, as JSON, the ids of the jobs that it submitted and of the messages that it kept.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from engine import LocalConversations, LocalJobs
from engine.paths import resolve
from engine.settings import Settings
from engine.types import JobQuery, StoredMessage
from tests.engine.jobs.asking import asking


async def main(home: str, name: str, count: int) -> None:
    paths = resolve({"HEARTH_HOME": home})
    kept = LocalConversations(paths)
    jobs = LocalJobs(kept, Settings, paths)
    draw = random.Random(name)
    submitted: list[int] = []
    cancelled: set[int] = set()
    said: list[str] = []
    for number in range(count):
        match draw.randrange(6):
            case 0 | 1:
                job = await jobs.submit(asking(f"{name} {number}", conversation=f"talk-{draw.randrange(4)}"))
                submitted.append(job.id)
            case 2:
                message = StoredMessage(id=f"{name}-{number}", role="user", content=f"{name} {number}")
                await kept.save(f"own-{name}", [message])
                said.append(message.id)
            case 3:
                await jobs.find(JobQuery(limit=20, text=name))
            case 4 if submitted:
                chosen = draw.choice(submitted)
                await jobs.cancel(chosen)
                cancelled.add(chosen)
            case _:
                if submitted:
                    assert (await jobs.get(draw.choice(submitted))).prompt.startswith(name)
    await kept.close()
    print(json.dumps({"submitted": submitted, "cancelled": sorted(cancelled), "said": said}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

"""A queue of jobs that plays a recording: for screenshots, and for tests of the Jobs pane."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence

from msgspec.structs import replace

from engine.errors import Conflict, ErrorInfo, JobNotFound
from engine.types import Delta, Job, JobPage, JobQuery, JobRequest, JobUpdate


class RecordedJobs:
    """What the pane sees of `engine.jobs.face.Jobs`. `jobs` may be set; `partial` is written of those that run."""

    def __init__(self, jobs: Sequence[Job] = ()) -> None:
        self.jobs = list(jobs)
        self.partial = ""
        self.submitted: list[JobRequest] = []
        self._ids = itertools.count(max((job.id for job in jobs), default=0) + 1)

    async def work(self) -> None:
        """Nothing is run."""

    async def find(self, query: JobQuery) -> JobPage:
        """The newest first."""
        words = query.text.lower().split()
        found = [
            job
            for job in sorted(self.jobs, key=lambda job: -job.id)
            if all(word in f"{job.prompt} {job.result} {job.model} {job.error}".lower() for word in words)
        ]
        counts: dict[str, int] = {}
        for job in found:
            counts[job.state] = counts.get(job.state, 0) + 1
        if query.states:
            found = [job for job in found if job.state in query.states]
        return JobPage(jobs=tuple(found[: query.limit]), counts=counts, more=len(found) > query.limit)

    async def get(self, job: int | str, owner: str | None = None) -> Job:
        """By id."""
        for each in self.jobs:
            if each.id == job:
                return each
        raise JobNotFound(f"There is no job {job}.")

    async def submit(self, request: JobRequest) -> Job:
        """It waits for ever."""
        self.submitted.append(request)
        asked = request.request
        assert asked is not None and asked.messages
        job = Job(
            id=next(self._ids),
            state="queued",
            model=asked.model,
            prompt=asked.messages[-1].text,
            system=asked.system,
            priority=request.priority,
            client=request.client,
            attempts=3,
            created=time.time(),
        )
        self.jobs.append(job)
        return job

    async def cancel(self, job: int | str, owner: str | None = None) -> Job:
        """At once."""
        return self._change(await self.get(job), state="cancelled", ended=time.time())

    async def retry(self, job: int | str, owner: str | None = None) -> Job:
        """It waits once more."""
        found = await self.get(job)
        if found.state not in ("error", "cancelled"):
            raise Conflict(f"Job {found.id} is {found.state}.")
        return self._change(found, state="queued", error=None, failures=0)

    async def drop(self, job: int | str, owner: str | None = None) -> None:
        """Gone."""
        self.jobs.remove(await self.get(job))

    async def watch(self, job: int | str, owner: str | None = None) -> AsyncIterator[JobUpdate]:
        """What is written of it so far, in one piece."""
        found = await self.get(job)
        yield JobUpdate(job=found)
        if found.state == "processing" and self.partial:
            yield JobUpdate(job=found, event=Delta(text=self.partial), place=0)

    def _change(self, job: Job, **changes: object) -> Job:
        changed = replace(job, **changes)
        self.jobs[self.jobs.index(job)] = changed
        return changed


PARTIAL = (
    "The kernel is bound by memory, not by arithmetic: it reads each weight once and uses it for one token. Batching "
    "requests reuses what was read, so throughput rises almost linearly until"
)


def jobs_of(now: float) -> list[Job]:
    """Jobs in every state, as they might stand at `now`."""

    def job(id: int, ago: float, prompt: str, **said: object) -> Job:
        base = Job(
            id=id, state="queued", model="qwen3-8b-instruct", prompt=prompt, attempts=3, created=now - ago
        )
        return replace(base, **said)

    timed_out = ErrorInfo(
        code="deadline_exceeded",
        what="The job took too long.",
        why="It was given 600 s.",
        fix="Raise jobs.timeout, or ask for less.",
    )
    missing = ErrorInfo(
        code="model_not_found",
        what="No model is called phi-5-medium.",
        why="None of that name was found.",
        fix="hearth models lists those that there are.",
    )
    return [
        job(41, 9000, "Summarise the minutes of 12 March in five points.", state="done", attempt=1, client="n8n",
            started=now - 8996, ended=now - 8958, conversation=7, conversation_id="3fa1c2d4e5b60718",
            webhook="http://127.0.0.1:5678/webhook/minutes", webhook_state="delivered",
            result="1. The release moves to 2 April.\n2. Ana takes over the parser.\n3. No new dependency before "
            "the audit.\n4. The benchmark machine is replaced.\n5. Next meeting on the 19th."),
        job(42, 7300, "Translate the abstract into Japanese, keep the terms in English.", state="done", attempt=2,
            failures=1, started=now - 7200, ended=now - 7150, model="gemma-3-12b-it", client="python-requests",
            result="本論文では、continuous batching を用いた推論エンジンを提案する。"),
        job(43, 3600, "Classify: the parcel arrived open and the lamp is broken", state="error", attempt=1,
            model="phi-5-medium", failures=1, started=now - 3600, ended=now - 3599, error=missing, client="n8n"),
        job(44, 2400, "Write test cases for the tokenizer, all 4,000 of them.", state="error", attempt=3, failures=3,
            started=now - 700, ended=now - 95, error=timed_out),
        job(45, 1300, "Name the paper that introduced rotary embeddings.", state="cancelled", ended=now - 1250),
        job(46, 240, "Explain why a decode step is bound by memory bandwidth, with figures for an 8B model in Q4_K_M.",
            state="processing", attempt=1, started=now - 12, client="tui",
            system="You explain to engineers. Be exact, give units."),
        job(47, 200, "Extract names and dates as JSON from the attached letter.", state="processing", attempt=2,
            failures=1, started=now - 3, batch="batch_5d2f7c", custom_id="letter-0017", client="openai"),
        job(48, 150, "Rewrite the release notes for people who do not program.", priority=5, client="tui"),
        job(49, 90, "Rate the answer from 1 to 5: 'Paris is the capital of France.'", attempt=1, failures=1,
            due=now + 25, error=timed_out),
        job(50, 4, "What changed between the two contracts?", client="hearth", conversation=9,
            conversation_id="90ab12cd34ef5678"),
    ]  # fmt: skip

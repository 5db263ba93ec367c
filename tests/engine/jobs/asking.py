"""Jobs for tests, and the wait for their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from engine.local import LocalEngine
from engine.types import GenerationRequest, Job, JobQuery, JobRequest, Message

Open = Callable[..., LocalEngine]
ECHO = "scripted:pieces=words"
"""Answers with what was said."""


def asking(text: str = "hello", model: str = ECHO, **said: object) -> JobRequest:
    """A job that asks one thing."""
    request = GenerationRequest(model=model, messages=(Message(role="user", content=text),))
    return replace(JobRequest(request=request), **said)


async def over(engine: LocalEngine, job: int, seconds: float = 30.0) -> Job:
    """The job when it is over."""
    async with asyncio.timeout(seconds):
        last = None
        async for update in engine.jobs.watch(job):
            last = update.job
        assert last is not None and last.over
        return last


async def all_over(engine: LocalEngine, seconds: float) -> None:
    """Wait until no job is left."""
    async with asyncio.timeout(seconds):
        for state in ("queued", "processing"):
            while found := (await engine.jobs.find(JobQuery(states=(state,), limit=1))).jobs:
                await over(engine, found[0].id, seconds)

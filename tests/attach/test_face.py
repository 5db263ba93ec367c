"""What the engine's face promises holds here and over HTTP alike: one suite over both engines."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine.errors import HearthError, InvalidRequest, ModelNotFound
from engine.face import Engine
from engine.types import (
    AdapterRef,
    Admitted,
    Alias,
    Attachment,
    Constraint,
    ConversationChange,
    ConversationQuery,
    Delta,
    Done,
    EmbedRequest,
    EvalRecord,
    Failed,
    Finished,
    GenerationRequest,
    HubQuery,
    ImagePart,
    JobQuery,
    JobRequest,
    KeptFile,
    Logprobs,
    Message,
    MetricsQuery,
    PullRequest,
    SavedQuery,
    StoredMessage,
    StreamEvent,
    TextPart,
)
from tests.engine.conversations.test_histories import export_of

LONG = "scripted:tokens=100000,delay_ms=2,context=200000"


def ask(text: str = "Hello", **fields: object) -> GenerationRequest:
    said: dict[str, object] = {"model": "ember", "max_tokens": 8, "sampling": {"temperature": 0.0}}
    said["messages"] = (Message(role="user", content=text),)
    return GenerationRequest(**{**said, **fields})  # type: ignore[arg-type]


async def heard(engine: Engine, request: GenerationRequest) -> list[StreamEvent]:
    return [event async for event in engine.generate(request)]


def text(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_stream_is_gapless_and_ends_once_with_its_account(engine: Engine) -> None:
    events = await heard(engine, ask(id="gapless"))
    assert [event.seq for event in events] == list(range(len(events)))
    done = events[-1]
    assert isinstance(done, Done) and not any(isinstance(event, Done | Failed) for event in events[:-1])
    admitted = next(event for event in events if isinstance(event, Admitted))
    assert done.usage.prompt_tokens == admitted.prompt_tokens > 0
    sampled = sum(event.tokens for event in events if isinstance(event, Delta))
    assert 0 < sampled <= done.usage.completion_tokens <= 8
    assert done.model == "ember" and done.timings.ttft_s > 0
    # Moments are of this machine's clock, whoever answered.
    assert abs(time.monotonic_ns() - events[-1].t_ns) < 60e9


async def test_both_engines_say_the_same(local: Engine, remote: Engine) -> None:
    asked = ask("What is the capital of France?", logprobs=Logprobs(top=2), return_tokens=True)
    here, there = await heard(local, asked), await heard(remote, asked)
    pick = [
        [
            (event.text, event.token_ids, [one.piece for one in event.logprobs])
            for event in events
            if isinstance(event, Delta)
        ]
        for events in (here, there)
    ]
    assert pick[0] == pick[1] and pick[0]


async def test_every_kind_of_request_comes_through(engine: Engine) -> None:
    held = await heard(engine, ask(constraint=Constraint(kind="choice", value=["yes", "no"])))
    assert text(held) in ("yes", "no")
    pirate = await heard(engine, ask(adapters=(AdapterRef("pirate"),)))
    base = await heard(engine, ask())
    assert text(pirate) != text(base)
    biased = await heard(engine, ask(sampling={"temperature": 0.0, "logit_bias": {5: 3.0}}))
    assert isinstance(biased[-1], Done)
    several = await heard(engine, ask(n=2, sampling={"seed": 1}))
    assert {event.choice for event in several if isinstance(event, Finished)} == {0, 1}


async def test_a_model_that_is_not_there_fails_the_stream(engine: Engine) -> None:
    (event,) = await heard(engine, ask(model="nobody"))
    assert isinstance(event, Failed) and event.error.code == "model_not_found" and event.error.fix
    with pytest.raises(ModelNotFound):
        await engine.facts("nobody")
    (wrong,) = await heard(engine, ask(sampling={"temperature": 99}))
    assert isinstance(wrong, Failed)
    assert (wrong.error.code, wrong.error.param) == ("invalid_request", "temperature")


async def test_a_cancel_ends_the_stream_as_cancelled(engine: Engine) -> None:
    stream = engine.generate(ask(model=LONG, max_tokens=None))
    seen: list[StreamEvent] = []
    async for event in stream:
        seen.append(event)
        if len([each for each in seen if isinstance(each, Delta)]) == 3:
            stream.cancel()
    done = seen[-1]
    assert isinstance(done, Done) and done.reason == "cancelled"
    assert [event.seq for event in seen] == list(range(len(seen)))
    assert 0 < done.usage.completion_tokens < 1000


async def test_a_cancel_before_anything_was_heard_counts_too(engine: Engine) -> None:
    stream = engine.generate(ask(model=LONG, max_tokens=None))
    stream.cancel()
    done = await stream.wait()
    assert isinstance(done, Done) and done.reason == "cancelled"


async def test_requests_are_listed_while_they_run_and_cancelled_by_id(engine: Engine) -> None:
    stream = engine.generate(ask(model=LONG, max_tokens=None, id="listed", client="pane", source="tui"))
    await until(lambda: any(each.id == "listed" and each.state == "decode" for each in engine.running()))
    (found,) = [each for each in engine.running() if each.id == "listed"]
    assert (found.client, found.source) == ("pane", "tui")
    assert await engine.cancel("listed") is True
    done = await stream.wait()
    assert isinstance(done, Done) and done.reason == "cancelled"
    assert await engine.cancel("listed") is False


async def test_a_pane_drains_from_its_own_thread(engine: Engine) -> None:
    stream = engine.generate(ask())
    found: list[StreamEvent] = []

    def pane() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and not (found and isinstance(found[-1], Done)):
            found.extend(stream.drain())
            time.sleep(0.01)

    thread = threading.Thread(target=pane)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert isinstance(found[-1], Done) and [event.seq for event in found] == list(range(len(found)))


async def test_models_come_and_go(engine: Engine) -> None:
    await engine.load("ember", keep_alive=600)
    (ember,) = [model for model in engine.loaded() if model.id == "ember"]
    assert ember.state == "ready" and ember.expires_ns is not None and ember.facts is not None
    assert 0 < ember.expires_ns - time.monotonic_ns() < 700e9
    await engine.pin("ember")
    assert next(model for model in engine.loaded() if model.id == "ember").pinned
    await engine.unpin("ember")
    assert await engine.unload("ember")
    assert "ember" not in [model.id for model in engine.loaded()]
    assert not await engine.unload("ember")
    with pytest.raises(ModelNotFound, match="nosuch"):
        await engine.unload("nosuch")
    assert "ember" in [entry.id for entry in await engine.models()]
    estimate = await engine.estimate("ember")
    assert estimate.fits and estimate.total > 0
    assert [fit.model for fit in await engine.fits(["ember"])] == ["ember"]


async def test_texts_are_taken_apart_and_put_together(engine: Engine) -> None:
    tokens = await engine.tokenize("ember", "The sky is blue. Ünïcødé.")
    assert await engine.detokenize("ember", tokens) == "The sky is blue. Ünïcødé."
    prompt = await engine.render("ember", [Message(role="user", content="Hello")])
    assert "Hello" in prompt
    assert await engine.count(ask("Hello")) > 0
    found = await engine.embed(EmbedRequest(model="ember", inputs=("Hello", "Bye")))
    assert len(found.vectors) == 2


async def test_aliases_and_prompts_are_kept(engine: Engine) -> None:
    name = f"bard-{id(engine)}"
    assert await engine.put_prompt(name, "Answer in verse.") == 1
    kept = await engine.put_alias(name, Alias(model="ember", system="Answer in verse."))
    assert kept == name and name in [each.name for each in await engine.aliases()]
    assert (await engine.alias(name)).alias is not None
    assert "FROM" in await engine.export_alias(name)
    assert name in [each.name for each in await engine.listing()]
    assert (await engine.setup(name)).name == name
    with pytest.raises(InvalidRequest):
        await engine.put_alias(name, Alias(model="ember"), overwrite=False)
    assert await engine.remove_alias(name) == name
    with pytest.raises(ModelNotFound):
        await engine.alias(name)
    assert (await engine.prompt(name)).versions[-1].text == "Answer in verse."
    await engine.remove_prompt(name)


async def test_conversations_and_their_pictures_are_kept(engine: Engine, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    message = StoredMessage(
        id="m1",
        role="user",
        content="Look: @red.png",
        attachments=(Attachment(name="red.png", path=str(picture), media_type="image/png"),),
    )
    id = f"talk-{engine.__class__.__name__.lower()}"
    (kept,) = await engine.conversations.save(id, [message])
    assert Path(kept.attachments[0].path).read_bytes() == picture.read_bytes()
    picture.unlink()
    tree = await engine.conversations.get(id)
    assert Path(tree.messages[0].attachments[0].path).is_file()
    assert id in [each.summary.id for each in (await engine.conversations.find(ConversationQuery())).found]
    assert b"Look" in (await engine.conversations.export([id], "json")).data
    answer = StoredMessage(id="m2", parent="m1", role="assistant", content="A red square.", starred=True)
    await engine.conversations.save(id, [answer], ConversationChange(settings={"system": "Be brief."}))
    (starred,) = [each for each in await engine.conversations.starred() if each.conversation == id]
    assert [each.id for each in starred.messages] == ["m1", "m2"] and starred.system == "Be brief."
    assert (
        Path(starred.messages[0].attachments[0].path).read_bytes()
        == Path(kept.attachments[0].path).read_bytes()
    )
    # A history that lies here is read here, with its pictures, and is known when it comes again.
    history = tmp_path / f"{id}.zip"
    await asyncio.to_thread(history.write_bytes, export_of(f"chat of {id}"))
    for added in (5, 0):
        report = await engine.conversations.take_in(history)
        assert [each.added for each in report.conversations] == [added]
        assert [each.name for each in report.refused] == ["Odd"]
    talk = (await engine.conversations.get(report.conversations[0].summary.id)).messages
    assert talk[0].attachments[0].width == 3
    await engine.conversations.delete([report.conversations[0].summary.id])
    await engine.conversations.delete([id])
    assert id not in [each.conversation for each in await engine.conversations.starred()]
    assert id not in [
        each.summary.id for each in (await engine.conversations.find(ConversationQuery())).found
    ]


async def test_a_picture_goes_by_its_path(engine: Engine, tmp_path: Path) -> None:
    content = (TextPart("What is this?"), ImagePart(path=str(tmp_path / "none.png")))
    (event,) = await heard(engine, ask(messages=(Message(role="user", content=content),)))
    assert isinstance(event, Failed) and "none.png" in event.error.what
    picture = tmp_path / "here.png"
    Image.new("RGB", (8, 8), "red").save(picture)
    content = (TextPart("What is this?"), ImagePart(path=str(picture)))
    events = await heard(engine, ask(messages=(Message(role="user", content=content),)))
    # The starter model is blind, and says so of the picture, not of the path.
    assert isinstance(events[-1], Failed) and events[-1].error.code == "unsupported"


async def test_machine_and_records_are_told(engine: Engine) -> None:
    await heard(engine, ask(id="told"))
    assert (await engine.hardware()).memory.total > 0
    assert isinstance(await engine.hardware_history(60), list)
    async with asyncio.timeout(20):
        while not any(row["id"] == "told" for row in await engine.request_log(20)):
            await asyncio.sleep(0.05)
    assert await engine.model_log(5)
    await until(lambda: bool(engine.logs(10)))


async def test_metrics_answer_and_keep_rows_and_statements(engine: Engine) -> None:
    await heard(engine, ask(id="measured", client="metered"))
    metrics, query = engine.metrics, MetricsQuery(client="metered")
    async with asyncio.timeout(60):
        while not await metrics.groups(query, "client"):
            await asyncio.sleep(0.05)
    (group,) = await metrics.groups(query, "client")
    assert group.name == "metered" and group.completion_tokens > 0
    found = await metrics.traffic(query, 10)
    assert sum(point.requests for point in found.points) == group.requests
    assert {each.measure: each.count for each in await metrics.distributions(query)}[
        "total"
    ] == group.requests
    assert (await metrics.slowest(query, "ttft", 1))[0].model == "ember"
    row = (await metrics.sql("SELECT id, time FROM requests WHERE client = 'metered'", 1)).rows[0]
    assert isinstance(row[0], str) and row[1].endswith("Z")
    assert (await metrics.export("SELECT 1 AS one", "csv")).split() == [b"one", b"1"]
    assert (await metrics.export("SELECT 1 AS one", "parquet"))[:4] == b"PAR1"
    for statement in ("DELETE FROM requests", "SELECT * FROM read_text('/etc/passwd')"):
        with pytest.raises(InvalidRequest):
            await metrics.sql(statement)
    record = EvalRecord(time=time.time(), run=f"run-{uuid.uuid4().hex}", score=0.5)
    await metrics.record(record)
    kept = await metrics.sql(f"SELECT score FROM evals WHERE run = '{record.run}'")
    assert [tuple(each) for each in kept.rows] == [(0.5,)]
    mine = SavedQuery(name=f"mine {record.run}", sql="SELECT 1")
    await metrics.save_query(mine)
    assert mine in await metrics.queries()
    await metrics.drop_query(mine.name)
    assert mine not in await metrics.queries()


async def test_jobs_are_queued_followed_and_forgotten(engine: Engine) -> None:
    await engine.jobs.work()
    job = await engine.jobs.submit(JobRequest(request=ask("What is the capital of France?")))
    updates = [update async for update in engine.jobs.watch(job.id)]
    assert updates[-1].job.state == "done", updates[-1]
    assert any(update.event is not None for update in updates)
    outcome = await engine.jobs.outcome(job.id)
    assert outcome.job.id == job.id
    assert job.id in [each.id for each in (await engine.jobs.find(JobQuery())).jobs]
    long = await engine.jobs.submit(JobRequest(request=ask(model=LONG, max_tokens=None)))
    assert (await engine.jobs.cancel(long.id)).state in ("cancelled", "processing")
    file = await engine.jobs.keep_file(
        KeptFile(id=f"file-{id(engine)}", name="in.jsonl", purpose="batch"), b"{}"
    )
    assert await engine.jobs.read_file(file.id) == b"{}"
    await engine.jobs.drop_file(file.id)
    await engine.jobs.drop(job.id)
    with pytest.raises(HearthError):
        await engine.jobs.get(job.id)
    with pytest.raises(HearthError):
        async for _ in engine.jobs.watch(job.id):
            pass


async def test_a_hub_that_is_offline_says_so(engine: Engine) -> None:
    page = await engine.search_hub(HubQuery(text="ember"))
    assert page.problem is not None and "ember" in [entry.id for entry in page.local]
    state = await engine.pull(PullRequest(model="org/name")).wait()
    assert state.stage == "failed" and state.error is not None
    with pytest.raises(HearthError):
        await engine.plan_pull(PullRequest(model="org/name"))
    assert (await engine.cache_scan()).size == 0

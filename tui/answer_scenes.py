"""What answers are made of, in every state worth a picture: thinking, calls, JSON, figures, loads, adapters, memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from msgspec.structs import replace
from textual.pilot import Pilot

from engine.types import (
    Admitted,
    CacheMiss,
    Constraint,
    GenerationRequest,
    LoadedModel,
    Loading,
    Queued,
    Shifted,
    StreamEvent,
    ToolCall,
)
from tui.app import HearthApp
from tui.chat_scenes import Drive, say
from tui.recorded import RecordedEngine
from tui.recordings import called, estimate_of, said, whole
from tui.screens.chat.screen import ChatScreen

THOUGHT = """The reader asks for the weather in two cities. I have a tool for that, which takes one city a call, so \
two calls are needed.

Quito lies high, so the days are mild and the nights cold; still, the figures should come from the tool."""
WEATHER = ToolCall(
    id="call_1", name="get_weather", arguments='{"city": "Quito", "days": 3, "units": "metric"}'
)
SECOND = ToolCall(id="call_2", name="get_weather", arguments='{"city": "Oslo", "days": 3, "units": "metric"}')
HUGE = ToolCall(
    id="call_3",
    name="write_the_report_with_a_name_that_goes_on_and_on_and_is_longer_than_any_frame_is_wide",
    arguments=json.dumps(
        {
            "title": "Capitals",
            "rows": [{"city": f"City {number}", "people": number * 1000} for number in range(400)],
            "body": "All of it in one line, " * 400,
        }
    ),
)
WRONG = ToolCall(id="call_4", name="run", arguments="not JSON at all, [yet")
ANSWER = (
    '{"city": "Quito", "country": "Ecuador", "people": 2800000, "greetings": ["buenos días", "alli puncha"]}'
)


def _engine(app: HearthApp) -> RecordedEngine:
    return cast(RecordedEngine, app.connection.ready)


def _chat(app: HearthApp) -> ChatScreen:
    return cast(ChatScreen, app.screen_stack[0])


def _with(*calls: ToolCall, text: str = "I look both up.") -> list[StreamEvent]:
    thought = said(THOUGHT, kind="reasoning")
    return [
        *thought,
        *said(text, after=len(thought)),
        *called(*calls, after=len(thought) + 5),
    ]


async def _ask(
    pilot: Pilot[None],
    app: HearthApp,
    pieces: Sequence[StreamEvent],
    events: int | None = None,
    **figures: object,
) -> None:
    """Ask for the weather; `pieces` are the answer, `figures` go to `whole`."""

    def answer(request: GenerationRequest) -> Sequence[StreamEvent]:
        return whole(request, pieces, **figures)  # type: ignore[arg-type]

    await say(pilot, app, "What is the weather in Quito and in Oslo?", answer, events)


async def _thinking(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(pilot, app, _with(WEATHER), 40)


async def _thinking_unfolded(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(pilot, app, _with(WEATHER), 40)
    await pilot.press("alt+up", "space")


async def _calling(pilot: Pilot[None], app: HearthApp) -> None:
    pieces = _with(WEATHER, SECOND)
    await _ask(pilot, app, pieces, 2 + len(pieces) - 5)


async def _calls(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(pilot, app, _with(WEATHER, SECOND), reasoning=51)
    await pilot.press("alt+up")


async def _result(pilot: Pilot[None], app: HearthApp) -> None:
    await _calls(pilot, app)
    await pilot.press("t")
    await pilot.press(*'{"high": 19}')


async def _answered(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(pilot, app, _with(WEATHER, SECOND), reasoning=51)
    chat = _chat(app)
    talk = chat.presenter.current
    chat.presenter.answer_call(talk, WEATHER, '{"high": 19, "low": 9}', failed=False, resend=False)
    _engine(app).answer = "In Quito it is **19 °C** by day. For Oslo the service gave no answer."
    chat.presenter.answer_call(talk, SECOND, "503: try again later", failed=True, resend=True)
    await pilot.pause(0.4)


async def _huge_call(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(pilot, app, _with(HUGE, WRONG, text="Here is the report."), reasoning=51)


async def _huge_call_unfolded(pilot: Pilot[None], app: HearthApp) -> None:
    await _huge_call(pilot, app)
    await pilot.press("alt+up", "space")


async def _json(pilot: Pilot[None], app: HearthApp) -> None:
    _chat(app).presenter.current.controls.constraint = Constraint(kind="json")
    _chat(app).inspector.show(_chat(app).presenter.current.controls)
    await say(pilot, app, "Tell me of Quito.", ANSWER)


async def _figures(pilot: Pilot[None], app: HearthApp) -> None:
    await _ask(
        pilot,
        app,
        [*said("The history was long, so its beginning is gone. "), Shifted(dropped=512), *said("I go on.")],
        prompt=7900,
        cached=412,
        miss=CacheMiss(cause="adapter", token=412),
        dropped=(12, 3204),
        guesses=(37, 15),
    )


async def _loading(pilot: Pilot[None], app: HearthApp) -> None:
    engine = _engine(app)
    qwen = next(entry for entry in engine.entries if entry.id == "qwen3-8b-instruct")
    engine.resident[qwen.id] = LoadedModel(id=qwen.id, state="loading", estimate=estimate_of(qwen))
    app.choose_model(qwen.id)
    events = [
        Loading(stage="waiting"),
        Loading(stage="checking"),
        Loading(stage="estimating"),
        Loading(stage="weights", fraction=0.62),
        Admitted(prompt_tokens=24),
    ]
    await say(pilot, app, "What is the capital of France?", events, 4)
    await pilot.pause(0.8)


async def _queued(pilot: Pilot[None], app: HearthApp) -> None:
    events = [Queued(position=3, eta_s=8.2), Admitted(prompt_tokens=24)]
    await say(pilot, app, "What is the capital of France?", events, 1)


async def _adapters(pilot: Pilot[None], app: HearthApp) -> None:
    await say(pilot, app, "What is the capital of France?")
    await pilot.press("alt+up", "a")
    await pilot.pause(0.4)
    await pilot.press("down", "down", "space", "left", "left", "left", "down")


async def _with_adapters(pilot: Pilot[None], app: HearthApp) -> None:
    chat = _chat(app)
    await chat._set("adapter", "pirate=0.5+poet")
    await say(pilot, app, "What is the capital of France?", "Arr, that be **Paris**, by the Seine so slow.")


async def _rest(pilot: Pilot[None], app: HearthApp, *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause(0.6)


async def _estimate(pilot: Pilot[None], app: HearthApp) -> None:
    await _rest(pilot, app, "j")


async def _does_not_fit(pilot: Pilot[None], app: HearthApp) -> None:
    await _rest(pilot, app, "j", "j")


async def _two_devices(pilot: Pilot[None], app: HearthApp) -> None:
    engine = _engine(app)
    gemma = next(entry for entry in engine.entries if entry.id == "gemma-3-12b-it-qat")
    estimate = estimate_of(gemma)
    (cpu,) = estimate.devices
    gpu = replace(cpu, device="CUDA0", kind="gpu", free=23 * 2**30, projector=2**29)
    cpu = replace(cpu, weights=2**29, kv_cache=0, compute=40 * 2**20)
    engine.estimates[gemma.id] = replace(
        estimate,
        devices=(cpu, gpu),
        # What lies on the GPU is not in the process.
        resident=cpu.total + 300 * 2**20,
        correction=1.03,
        leaving=("ember",),
        fits=True,
        advice="",
    )
    await _rest(pilot, app, "j")


async def _in_memory(pilot: Pilot[None], app: HearthApp) -> None:
    engine = _engine(app)
    engine.resident["ember"] = replace(engine.resident["ember"], pinned=True)
    qwen = engine.resident["qwen3-8b-instruct"]
    engine.resident[qwen.id] = replace(qwen, state="shrunk")
    await pilot.pause(0.8)


SCENES: dict[str, tuple[str, Drive]] = {
    "chat-thinking": ("chat", _thinking),
    "chat-thinking-unfolded": ("chat", _thinking_unfolded),
    "chat-calling": ("chat", _calling),
    "chat-calls": ("chat", _calls),
    "chat-call-result": ("chat", _result),
    "chat-call-answered": ("chat", _answered),
    "chat-call-huge": ("chat", _huge_call),
    "chat-call-huge-unfolded": ("chat", _huge_call_unfolded),
    "chat-json": ("chat", _json),
    "chat-figures": ("chat", _figures),
    "chat-loading": ("chat", _loading),
    "chat-queued": ("chat", _queued),
    "chat-adapter-picker": ("chat", _adapters),
    "chat-adapters": ("chat", _with_adapters),
    "models-estimate": ("models", _estimate),
    "models-does-not-fit": ("models", _does_not_fit),
    "models-two-devices": ("models", _two_devices),
    "models-in-memory": ("models", _in_memory),
}
"""Scene name: the workspace, and what is done there."""

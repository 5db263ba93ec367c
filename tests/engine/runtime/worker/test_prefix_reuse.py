"""The prefix cache at work under the whole runner: what is computed once is not computed again, and answers stay."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import InternalError
from engine.runtime.backends.base import StepBackend
from engine.runtime.limits import Limits
from engine.runtime.worker import kvstore
from engine.types import AdapterRef, CacheMiss, CachePolicy, GenerationRequest, LoadOptions, Message, Tool
from starter import gguf_path
from tests.engine.runtime.worker.desk import Answer, Desk, load
from tests.tiers import mostly_long
from tests.weights import Llama, tiny_adapter, tiny_gemma, tiny_hybrid, tiny_mamba, write_llama
from tests.weights.hf_folders import write_hf, write_hf_adapter

LIMITS = Limits(chunk=256, busy_chunk=64, answer_reserve=16)
OPTIONS = LoadOptions(
    context=2048, slots=4, batch=256, threads=1, batch_threads=1, flash_attention=False, kv_type="f32"
)
SYSTEM = "".join(f"Rule {number}: be kind. " for number in range(25))[:400]
"""400 tokens of a vocabulary of bytes."""


def long_llama(folder: Path) -> Path:
    return write_llama(folder / "long.gguf", Llama(context=4096))


MODELS: dict[str, Callable[[Path], Path]] = {
    "llama": long_llama,
    "gemma": tiny_gemma,
    "mamba": tiny_mamba,
    "hybrid": tiny_hybrid,
}
NAMES = ["scripted", *MODELS, "transformers", "mlx"]


FAMILY = {"transformers": "mistral", "mlx": "qwen3"}
"""The one slides over windows."""


def opened(name: str, folder: Path, options: LoadOptions = OPTIONS) -> StepBackend:
    match name:
        case "scripted":
            return load("scripted", "scripted:text=an answer of some words", options)
        case "transformers" | "mlx":
            path = write_hf(folder / FAMILY[name], FAMILY[name], max_position_embeddings=4096)
            return load(name, str(path), replace(options, kv_type=None))
        case _:
            return load("llama", str(MODELS[name](folder)), options)


CUTTABLE = ["scripted", "llama", "gemma", "transformers", "mlx"]


@pytest.fixture(scope="module", params=NAMES)
def any_backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StepBackend]:
    made = opened(request.param, tmp_path_factory.mktemp("model"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=CUTTABLE)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StepBackend]:
    made = opened(request.param, tmp_path_factory.mktemp("model"))
    yield made
    made.close()


@pytest.fixture
def desk(backend: StepBackend) -> Iterator[Desk]:
    backend.rebuild()
    yield Desk(backend, LIMITS)


def ask(prompt: str, **more: Any) -> GenerationRequest:
    said = {"raw": True, "max_tokens": 12, "sampling": {"temperature": 0.0}} | more
    return GenerationRequest(model="m", prompt=prompt, **said)


def talk(*turns: str, **more: Any) -> GenerationRequest:
    roles = ("user", "assistant")
    messages = tuple(
        Message(role=roles[index % 2], content=text)  # type: ignore[arg-type]
        for index, text in enumerate(turns)
    )
    said = {"max_tokens": 12, "sampling": {"temperature": 0.0}} | more
    return GenerationRequest(model="m", messages=messages, **said)


def fresh(backend: StepBackend, request: GenerationRequest) -> Answer:
    """What a backend answers that has computed nothing before."""
    backend.rebuild()
    answer = Desk(backend, LIMITS).answer(request)
    assert answer.cached == 0
    backend.rebuild()
    return answer


def test_different_questions_share_a_system_prompt_of_400_tokens(desk: Desk) -> None:
    assert desk.answer(ask(SYSTEM + "What is warm?")).cached == 0
    second = desk.answer(ask(SYSTEM + "Who are you?"))
    assert second.cached >= 399
    assert second.admitted.miss == CacheMiss(cause="text", token=second.cached)
    assert desk.answer(ask(SYSTEM + "Anything else?")).cached >= 399


def test_the_cache_changes_no_answer(any_backend: StepBackend) -> None:
    questions = [ask(SYSTEM + text) for text in ("What is warm?", "Who are you?", "What is warm? Say.")]
    expected = [fresh(any_backend, question).text for question in questions]
    desk = Desk(any_backend, LIMITS)
    for _ in range(2):
        assert [desk.answer(question).text for question in questions] == expected


def test_requests_that_come_at_once_read_what_they_share_once(desk: Desk) -> None:
    """The others wait for the first to have read it, and then go on side by side."""
    tickets = [desk.submit(ask(SYSTEM + text)) for text in ("One?", "Two, please?", "And three?")]
    desk.run()
    cached = [Answer(ticket.stream.drain()).cached for ticket in tickets]
    assert cached[0] == 0 and min(cached[1:]) >= 399


def test_choices_share_one_prefill(any_backend: StepBackend) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS)
    computed = 0
    step = any_backend.step

    def count(rows: Any) -> Any:
        nonlocal computed
        computed += sum(row.count for row in rows)
        return step(rows)

    any_backend.step = count  # type: ignore[method-assign]
    try:
        answer = desk.answer(ask(SYSTEM + "Again?", n=4, max_tokens=3))
    finally:
        del any_backend.step  # type: ignore[method-assign]
    prompt = answer.usage.prompt_tokens
    assert answer.usage.completion_tokens == 12
    assert computed <= prompt + 4 * 4, "the prompt once, then a few tokens for each choice"


def test_the_same_prompt_again_computes_its_last_token_alone(any_backend: StepBackend) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS)
    first = desk.answer(ask(SYSTEM))
    again = desk.answer(ask(SYSTEM))
    assert again.cached == first.usage.prompt_tokens - 1 and again.admitted.miss is None
    assert again.text == first.text


def test_a_prompt_that_comes_again_and_again_costs_no_other_its_place() -> None:
    desk = Desk(load("scripted", "scripted:shelves=3,text=an answer", OPTIONS), LIMITS)
    prompts = [f"{number} is one of three. {SYSTEM}" for number in range(3)]
    for prompt in (*prompts, *prompts[2:] * 4):
        desk.answer(ask(prompt))
    assert all(desk.answer(ask(prompt)).cached >= 399 for prompt in prompts)


def test_a_conversation_goes_on_from_where_it_was(any_backend: StepBackend) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS)
    first = desk.answer(talk(SYSTEM))
    going_on = desk.answer(talk(SYSTEM, first.text, "And then?"))
    assert going_on.cached >= first.usage.prompt_tokens - 1
    assert going_on.text == fresh(any_backend, talk(SYSTEM, first.text, "And then?")).text


def test_an_edited_question_keeps_what_stands_before_it(desk: Desk) -> None:
    first = desk.answer(talk("Hello there, you.", "Hello.", SYSTEM))
    edited = desk.answer(talk("Hello there, you.", "Hello.", SYSTEM[:-5] + "!?"))
    assert edited.admitted.miss is not None and edited.admitted.miss.cause == "text"
    assert first.usage.prompt_tokens > edited.cached > len(SYSTEM) - 10


def test_a_miss_says_why(desk: Desk) -> None:
    def cause(request: GenerationRequest) -> str | None:
        miss = desk.answer(request).admitted.miss
        return None if miss is None else miss.cause

    assert cause(ask(SYSTEM)) == "model"
    assert cause(ask(SYSTEM[::-1])) == "new"
    assert cause(ask(SYSTEM + "?")) is None, "nothing is known that would have been of use"
    assert cause(ask(SYSTEM, cache=CachePolicy(read=False))) == "off"
    assert cause(ask(SYSTEM, cache=CachePolicy(salt="somebody else"))) == "caller"


def test_other_tools_are_why_nothing_of_a_conversation_is_known() -> None:
    """Templates put tools before all else: by its tokens it would be a new conversation."""
    backend = load("llama", str(gguf_path()), OPTIONS)
    desk = Desk(backend, LIMITS)
    city = Tool(name="get_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})

    def cause(words: str, **more: Any) -> str | None:
        messages = (Message(role="user", content=words),)
        request = GenerationRequest(model="m", messages=messages, max_tokens=4, **more)
        miss = desk.answer(request).admitted.miss
        return None if miss is None else miss.cause

    question = "What is the weather in the capital of France, and what will it be tomorrow?"
    assert cause(question) == "model"
    assert cause(question, tools=(city,)) == "tools"
    assert cause("Tell me a story of a cat that found a key in the garden and its way home.") == "new"
    backend.close()


@pytest.mark.parametrize("name", ["scripted", "llama", "transformers", "mlx"])
def test_adapters_keep_their_prefixes_apart_and_each_its_own(name: str, tmp_path: Path) -> None:
    desk = Desk(opened(name, tmp_path), LIMITS)
    path = {
        "scripted": lambda: "capitals",
        "llama": lambda: str(tiny_adapter(tmp_path)),
        "transformers": lambda: str(write_hf_adapter(tmp_path / "adapter", tmp_path / "mistral")),
        "mlx": lambda: str(write_hf_adapter(tmp_path / "adapter", tmp_path / "qwen3")),
    }[name]()
    pirate = (AdapterRef(path),)
    base = desk.answer(ask(SYSTEM))
    adapted = desk.answer(ask(SYSTEM, adapters=pirate))
    assert adapted.cached == 0 and adapted.text != base.text
    assert adapted.admitted.miss == CacheMiss(cause="adapter", token=0)
    again, adapted_again = desk.answer(ask(SYSTEM)), desk.answer(ask(SYSTEM, adapters=pirate))
    assert (again.text, adapted_again.text) == (base.text, adapted.text)
    assert again.cached == adapted_again.cached == base.usage.prompt_tokens - 1
    other_scale = desk.answer(ask(SYSTEM, adapters=(AdapterRef(path, 0.5),)))
    assert other_scale.cached == 0


def test_who_asks_for_no_cache_gets_none_and_leaves_nothing(any_backend: StepBackend) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS)
    desk.answer(ask(SYSTEM, cache=CachePolicy(write=False)))
    assert desk.answer(ask(SYSTEM)).cached == 0
    assert desk.answer(ask(SYSTEM, cache=CachePolicy(read=False))).cached == 0


def test_a_cancelled_answer_leaves_what_it_had_computed(desk: Desk) -> None:
    ticket = desk.submit(ask(SYSTEM + SYSTEM))
    desk.runner.turn()
    desk.runner.turn()
    desk.runner.cancel(ticket.key)
    desk.run()
    assert desk.answer(ask(SYSTEM + SYSTEM)).cached >= 256


@pytest.mark.parametrize("name", mostly_long(NAMES, fast=("scripted", "llama", "hybrid")))
def test_a_conversation_of_3000_tokens_goes_on_after_a_restart(name: str, tmp_path: Path) -> None:
    options = LoadOptions(
        context=4096, slots=2, batch=512, threads=1, batch_threads=1, flash_attention=False, kv_type="f32"
    )

    def start() -> tuple[StepBackend, Desk]:
        made = opened(name, tmp_path, options)
        return made, Desk(made, Limits(chunk=512), folder=tmp_path / "kv")

    history = (SYSTEM * 8)[:3000]
    backend, desk = start()
    first = desk.answer(talk(history))
    going_on = talk(history, first.text, "And then?")
    expected = fresh(backend, going_on)
    backend.rebuild()
    desk = Desk(backend, Limits(chunk=512), folder=tmp_path / "kv")
    assert desk.answer(talk(history)).text == first.text
    desk.cache.close(60)
    backend.close()

    backend, desk = start()
    again = desk.answer(going_on)
    assert again.cached >= first.usage.prompt_tokens - 1
    assert again.text == expected.text
    assert list((tmp_path / "kv").rglob("*.kv"))
    backend.close()


def test_a_damaged_file_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "kv"
    backend = load("llama", str(long_llama(tmp_path)), OPTIONS)
    desk = Desk(backend, LIMITS, folder=folder)
    expected = desk.answer(ask(SYSTEM)).text
    desk.cache.close(60)
    (file,) = folder.rglob("*.kv")
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    backend.rebuild()
    desk = Desk(backend, LIMITS, folder=folder)
    again = desk.answer(ask(SYSTEM))
    assert again.cached == 0 and again.text == expected
    assert not list(folder.rglob("*.kv")), "it is gone"
    assert "checksum" in " ".join(desk.complaints)
    desk.cache.close(1)
    backend.close()


def test_a_saved_prefix_is_its_callers_whatever_they_are_called(tmp_path: Path) -> None:
    backend = opened("scripted", tmp_path)
    request = ask(SYSTEM, cache=CachePolicy(salt="Ann\nof Berlin"))
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    desk.answer(request)
    desk.cache.close(60)
    backend.rebuild()
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    assert desk.answer(request).cached >= 399
    assert desk.answer(ask(SYSTEM, cache=CachePolicy(salt="of Berlin"))).cached == 0
    desk.cache.close(60)


def test_a_saved_prefix_for_which_there_is_no_room_now_is_kept_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened("scripted", tmp_path)

    def restore(shelf: int, state: object, count: int) -> None:
        raise InternalError("Those who run have all the cells.")

    for room, cached in ((True, 0), (False, 0), (True, 399)):
        with monkeypatch.context() as patch:
            if not room:
                patch.setattr(backend, "restore", restore)
            desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
            policy = CachePolicy(write=not cached and room)
            assert desk.answer(ask(SYSTEM, cache=policy)).cached >= cached
            desk.cache.close(60)
            backend.rebuild()


def test_a_file_that_goes_while_the_folder_is_read_costs_no_other(tmp_path: Path) -> None:
    """Other processes make room in the same folder."""
    backend = opened("scripted", tmp_path)
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    desk.answer(ask(SYSTEM))
    desk.cache.close(60)
    (file,) = (tmp_path / "kv").rglob("*.kv")
    (file.parent / "gone.kv").symlink_to("nowhere")
    backend.rebuild()
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    assert desk.answer(ask(SYSTEM)).cached >= 399
    assert not desk.complaints
    desk.cache.close(60)


def test_a_file_for_which_there_is_no_memory_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_state(path: Path) -> memoryview:
        raise MemoryError

    monkeypatch.setattr(kvstore, "_read_state", read_state)
    backend = opened("scripted", tmp_path)
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    expected = desk.answer(ask(SYSTEM)).text
    desk.cache.close(60)
    backend.rebuild()
    desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
    again = desk.answer(ask(SYSTEM))
    assert again.cached == 0 and again.text == expected
    assert "MemoryError" in " ".join(desk.complaints)
    desk.cache.close(1)


def test_another_model_of_the_same_shape_gets_nothing_from_the_files(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for seed in (0, 1):
        write_llama(path, Llama(context=4096), seed=seed)
        backend = load("llama", str(path), OPTIONS)
        desk = Desk(backend, LIMITS, folder=tmp_path / "kv")
        assert desk.answer(ask(SYSTEM)).cached == 0
        desk.cache.close(60)
        backend.close()


def test_a_cache_that_was_given_up_comes_back_from_disk(any_backend: StepBackend, tmp_path: Path) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS, folder=tmp_path / "kv")
    first = desk.answer(talk(SYSTEM))
    desk.runner.shrink()
    desk.runner.turn()
    assert any_backend.memory().kv_cache == 0
    going_on = desk.answer(talk(SYSTEM, first.text, "And then?"))
    assert going_on.cached >= first.usage.prompt_tokens - 1
    desk.cache.close(60)
    assert going_on.text == fresh(any_backend, talk(SYSTEM, first.text, "And then?")).text


def test_a_state_that_is_read_too_late_waits_for_the_cache(
    any_backend: StepBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wanted it has gone meanwhile, and after them the memory that it would have gone into."""
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS, folder=tmp_path / "kv")
    first = desk.answer(ask(SYSTEM))
    desk.cache.close(60)
    any_backend.rebuild()
    asked, released = threading.Event(), threading.Event()
    read_state = kvstore._read_state

    def read_late(path: Path) -> memoryview:
        asked.set()
        assert released.wait(10)
        return read_state(path)

    monkeypatch.setattr(kvstore, "_read_state", read_late)
    desk = Desk(any_backend, LIMITS, folder=tmp_path / "kv")
    ticket = desk.submit(ask(SYSTEM))
    while not asked.wait(0.2):
        desk.runner.turn()
    desk.runner.cancel(ticket.key)
    desk.runner.shrink()
    desk.run()
    released.set()
    desk.runner.turn()
    assert any_backend.memory().kv_cache == 0
    again = desk.answer(ask(SYSTEM))
    assert again.cached == first.usage.prompt_tokens - 1 and again.text == first.text
    desk.cache.close(60)


def test_who_works_gives_up_nothing(any_backend: StepBackend) -> None:
    any_backend.rebuild()
    desk = Desk(any_backend, LIMITS)
    expected = desk.answer(ask("Who are you?")).text
    ticket = desk.submit(ask("Who are you?"))
    desk.runner.turn()
    desk.runner.shrink()
    desk.run()
    assert Answer(ticket.stream.drain()).text == expected

"""What an alias says, under real requests to real models: it holds where a request is silent, and never else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.errors import (
    HearthError,
    InvalidRequest,
    InvalidSettings,
    ModelNotFound,
    StorageFailed,
    Unsupported,
)
from engine.local import LocalEngine
from engine.settings import Generation, Models, Runtime, Settings
from engine.types import (
    AdapterRef,
    Alias,
    Constraint,
    Delta,
    Done,
    EmbedRequest,
    Failed,
    GenerationRequest,
    LoadOptions,
    Message,
    Setup,
    Thinking,
)
from tests.engine.runtime.conftest import Open
from tests.weights import tiny_adapter, tiny_llama

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
ECHO = "{% for m in messages %}[{{ m.role }}={{ m.content }}]{% endfor %}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of `open_engine`, with a small model that has an adapter."""
    home = tmp_path / "home"
    (home / "models" / "adapters").mkdir(parents=True)
    os.chmod(home, 0o700)
    tiny_llama(home / "models", chat_template=TEMPLATE)
    tiny_adapter(home / "models" / "adapters")
    return home


def saying(text: str = "What is the capital of France?", **fields: Any) -> dict[str, Any]:
    return {"messages": (Message(role="user", content=text),), **fields}


async def answer(engine: LocalEngine, model: str, **fields: Any) -> tuple[str, Done]:
    fields = fields or saying()
    text, end = "", None
    async for event in engine.generate(GenerationRequest(model=model, **fields)):
        if isinstance(event, Delta) and event.kind == "content":
            text += event.text
        if isinstance(event, Failed):
            raise HearthError.from_info(event.error)
        if isinstance(event, Done):
            end = event
    assert end is not None
    return text, end


def value(setup: Setup, name: str) -> tuple[Any, str]:
    (found,) = (each for each in setup.values if each.name == name)
    return found.value, found.origin


async def test_an_alias_of_ember_answers_as_it_says_and_a_request_goes_before_it(engine: LocalEngine) -> None:
    alias = Alias(
        model="ember",
        sampling={"temperature": 0},
        max_tokens=3,
        stop=("Paris",),
        load=LoadOptions(context=512),
    )
    assert await engine.put_alias("Brief", alias) == "Brief"
    short, end = await answer(engine, "brief")
    assert end.usage.completion_tokens == 3 and end.model == "brief"
    again, _ = await answer(engine, "BRIEF:latest")
    assert again == short, "greedy"
    stopped, _ = await answer(engine, "brief", **saying(max_tokens=20))
    assert "capital" in stopped and "Paris" not in stopped
    whole, _ = await answer(engine, "brief", **saying(max_tokens=20, stop=("zzz",)))
    assert "Paris" in whole
    plain, _ = await answer(engine, "ember", **saying(max_tokens=20, sampling={"temperature": 0}))
    assert plain == whole
    (loaded,) = engine.loaded()
    assert loaded.id == "ember", "alias and model share one"
    assert loaded.facts is not None and loaded.facts.context == 512


async def test_json_mode_holds_until_a_request_asks_for_text(engine: LocalEngine) -> None:
    await engine.put_alias("j", Alias(model="ember", json_mode=True, max_tokens=40, sampling={"seed": 1}))
    text, _ = await answer(engine, "j")
    assert text.lstrip().startswith("{")
    text, _ = await answer(engine, "j", **saying(constraint=Constraint(kind="choice", value=["yes", "no"])))
    assert text in ("yes", "no")
    text, _ = await answer(engine, "j", **saying(constraint=Constraint(kind="text")))
    assert not text.lstrip().startswith("{")


async def test_a_prompt_is_rendered_as_a_request_by_the_alias_would_send_it(
    home: Path, open_engine: Open
) -> None:
    opened = Message(role="assistant", content="a")
    alias = Alias(model="tiny-llama", system="S", template=ECHO, messages=(opened,))
    said = (Message(role="user", content="hi"),)
    settings = Settings(
        models=Models(folders=(str(home / "models"),)), generation=Generation(system="of the settings")
    )
    engine = open_engine(settings)
    (model,) = [entry.id for entry in await engine.models() if entry.source == "folder"]
    await engine.put_alias("bot", replace(alias, model=model))
    assert await engine.render("bot", said) == "[system=S][assistant=a][user=hi]"
    own = (Message(role="system", content="mine"), *said)
    assert await engine.render("bot", own) == "[system=mine][assistant=a][user=hi]"
    bare = "system: of the settings\nuser: hi\nassistant:"
    assert await engine.render(model, said) == bare
    await engine.load(model)
    assert await engine.render(model, said) == bare, "the loaded model says the same"
    text = await engine.render("bot", said)
    asked = GenerationRequest(model="bot", messages=said)
    assert await engine.count(asked) == len(await engine.tokenize(model, text))


async def test_an_alias_that_is_not_kept_yet_is_set_up_as_it_will_be(engine: LocalEngine) -> None:
    await engine.put_prompt("poet", "You are a poet.")
    alias = Alias(
        model="ember", prompt="poet@1", sampling={"top_k": 3}, load=LoadOptions(context=256), keep_alive=9
    )
    draft = await engine.setup_of(alias)
    assert await engine.aliases() == []
    assert value(draft, "system") == ("You are a poet.", "alias")
    assert value(draft, "sampling.top_k") == (3, "alias")
    await engine.put_alias("bard", alias)
    assert draft.values == (await engine.setup("bard")).values
    with pytest.raises(ModelNotFound):
        await engine.setup_of(Alias(model="nowhere"))
    with pytest.raises(InvalidRequest, match="is an alias"):
        await engine.setup_of(Alias(model="bard"))
    with pytest.raises(InvalidRequest, match="top_k"):
        await engine.setup_of(Alias(model="ember", sampling={"top_k": -3}))


async def test_system_prompt_messages_and_template(engine: LocalEngine) -> None:
    alias = Alias(
        model="scripted:",
        system="S",
        messages=(Message(role="user", content="u"), Message(role="assistant", content="a")),
    )
    await engine.put_alias("bot", alias)

    async def prompt(name: str, **fields: Any) -> int:
        return await engine.count(GenerationRequest(model=name, **fields))

    full = (Message(role="system", content="S"), *alias.messages, Message(role="user", content="hi"))
    assert await prompt("bot", **saying("hi")) == await prompt("scripted:", messages=full)
    assert await prompt("bot", prompt="hi") == await prompt("scripted:", messages=full), (
        "a prompt is a turn too"
    )
    own = (Message(role="system", content="mine"), *full[1:])
    assert await prompt("bot", **saying("hi", system="mine")) == await prompt("scripted:", messages=own)
    brought = (Message(role="system", content="longer than S"), Message(role="user", content="hi"))
    assert await prompt("bot", messages=brought) == await prompt(
        "scripted:", messages=(brought[0], *alias.messages, brought[1])
    ), "a conversation's own system message takes the place of the alias's"
    assert await prompt("bot", prompt="hi", raw=True) == await prompt("scripted:", prompt="hi", raw=True)


async def test_a_template_of_its_own(engine: LocalEngine) -> None:
    await engine.put_alias("t", Alias(model="ember", template=ECHO, system="S"))
    with_alias = await engine.count(GenerationRequest(model="t", **saying("hi")))
    raw = await engine.count(GenerationRequest(model="ember", prompt="[system=S][user=hi]", raw=True))
    assert with_alias == raw
    other = GenerationRequest(model="t", template="{{ messages[-1].content }}", **saying("hi"))
    assert await engine.count(other) == await engine.count(
        GenerationRequest(model="ember", prompt="S\n\nhi", raw=True)
    )


async def test_a_named_prompt_is_used_in_its_newest_version_or_in_that_one(engine: LocalEngine) -> None:
    assert await engine.put_prompt("poet", "one") == 1
    await engine.put_alias("newest", Alias(model="scripted:", prompt="poet"))
    await engine.put_alias("first", Alias(model="scripted:", prompt="poet@1"))
    assert value(await engine.setup("newest"), "system") == ("one", "alias")
    assert await engine.put_prompt("poet", "two") == 2
    assert value(await engine.setup("newest"), "system") == ("two", "alias")
    assert value(await engine.setup("first"), "system") == ("one", "alias")
    # Also while the model is in memory.
    said = GenerationRequest(model="newest", **saying("hi"))
    await engine.load("newest")
    before = await engine.count(said)
    assert await engine.put_prompt("poet", "two and a lot more of it") == 3
    assert await engine.count(said) > before
    with pytest.raises(InvalidRequest, match="in use"):
        await engine.remove_prompt("poet")
    await engine.remove_prompt("poet", force=True)
    with pytest.raises(InvalidRequest, match="no prompt 'poet'"):
        await engine.count(said)


async def test_a_changed_file_is_seen_and_a_removed_alias_is_an_error_with_near_names(
    engine: LocalEngine, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "aliases.json"
    await engine.put_alias("counting", Alias(model="scripted:text=one two three", max_tokens=1))
    await engine.put_alias("counted", Alias(model="scripted:"))
    assert (await answer(engine, "counting"))[0] == "one"
    file.write_text(file.read_text().replace('"max_tokens": 1', '"max_tokens": 2'))
    assert (await answer(engine, "counting"))[0] == "one two"
    await engine.remove_alias("Counting")
    with pytest.raises(ModelNotFound) as caught:
        await answer(engine, "counting")
    assert "'counting'" in caught.value.what and "counted" in caught.value.fix


async def test_the_files_are_read_only_when_they_changed(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_alias("bot", Alias(model="scripted:", prompt=None))
    await answer(engine, "bot")
    reads: list[Path] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or real(path))
    found = engine._targets.find
    monkeypatch.setattr(engine._targets, "find", lambda *names: pytest.fail("it was looked up again"))
    await answer(engine, "bot")
    assert reads == []
    monkeypatch.setattr(engine._targets, "find", found)
    await engine.put_alias("bot", Alias(model="scripted:text=new"))
    assert (await answer(engine, "bot"))[0] == "new"


async def test_a_broken_file_stops_aliases_and_no_model(engine: LocalEngine, tmp_path: Path) -> None:
    await engine.put_alias("bot", Alias(model="scripted:"))
    file = tmp_path / "home" / "aliases.json"
    file.write_text('{"aliases":\n  nonsense}')
    before = file.read_bytes()
    assert (await answer(engine, "ember", **saying(max_tokens=2)))[1].usage.completion_tokens == 2
    for work in (answer(engine, "bot"), engine.aliases(), engine.put_alias("x", Alias(model="ember"))):
        with pytest.raises(StorageFailed, match="line 2, column 3"):
            await work
    assert file.read_bytes() == before
    file.write_text(
        '{"aliases": {"bot": {"model": "scripted:", "sampling": {"top_p": 7}}, "ok": {"model": "scripted:"}}}'
    )
    with pytest.raises(InvalidSettings, match=r"line 1, column \d+.*top_p"):
        await answer(engine, "bot")
    assert (await answer(engine, "ok"))[0]
    listed = {each.name: each for each in await engine.aliases()}
    assert listed["bot"].alias is None and "top_p" in (listed["bot"].broken or "")
    await engine.remove_alias("bot")
    assert [each.name for each in await engine.aliases()] == ["ok"]


async def test_adapters_by_alias_by_colon_and_by_request(home: Path, engine: LocalEngine) -> None:
    await engine.put_alias("adapted", Alias(model="tiny-0", adapters=(AdapterRef("tiny-adapter-1", 0.5),)))
    await engine.put_alias("colon", Alias(model="tiny-0:tiny-adapter-1"))
    await engine.put_alias("plain", Alias(model="tiny-0"))
    said = saying(max_tokens=2)

    async def scales(name: str, **more: Any) -> list[float]:
        return [each.scale for each in (await answer(engine, name, **said, **more))[1].adapters]

    assert await scales("adapted") == [0.5]
    assert await scales("colon") == [1.0]
    assert await scales("plain") == []
    assert await scales("plain:tiny-adapter-1=2") == [2.0]
    assert await scales("adapted:none") == []
    assert await scales("adapted", adapters=()) == []
    assert await scales("adapted", adapters=(AdapterRef("tiny-adapter-1", 3.0),)) == [3.0]
    assert len(engine.loaded()) == 1
    found = value(await engine.setup("adapted"), "adapters")
    assert found == ((AdapterRef("tiny-adapter-1", 0.5),), "alias")
    with pytest.raises(HearthError, match="nope"):
        await engine.put_alias("x", Alias(model="tiny-0", adapters=(AdapterRef("nope"),)))


async def test_load_options_are_laid_field_by_field_everywhere(engine: LocalEngine) -> None:
    script = 'scripted:{"context": 4096, "weights": 1000, "cache": 4096000}'
    await engine.put_alias(
        "small", Alias(model=script, load=LoadOptions(context=1024, slots=2), keep_alive=77)
    )
    assert (await engine.estimate("small")).context == 1024
    assert (await engine.estimate("small", LoadOptions(context=2048))).slots == 2
    assert (await engine.estimate("small", LoadOptions(context=2048))).context == 2048
    await engine.load("small")
    (loaded,) = engine.loaded()
    assert loaded.facts is not None and loaded.facts.context == 1024
    place = engine._supervisor._room.places[script]
    assert place.keep_alive == 77 and place.options.slots == 2
    await answer(engine, "small", **saying(load=LoadOptions(context=2048), keep_alive=5))
    (loaded,) = engine.loaded()
    assert loaded.facts is not None and loaded.facts.context == 2048
    assert place.options.slots == 2 and place.keep_alive == 5
    await engine.unload("small")
    assert engine.loaded() == []
    # A request for nothing but the load.
    async for event in engine.generate(GenerationRequest(model="small")):
        assert not isinstance(event, Failed)
    assert place.options.context == 1024 and place.keep_alive == 77
    async for event in engine.generate(GenerationRequest(model="small", keep_alive=0)):
        assert not isinstance(event, Failed)
    assert engine.loaded() == []


async def test_vectors_by_an_alias(home: Path, engine: LocalEngine) -> None:
    await engine.put_alias("vectors", Alias(model="tiny-0", load=LoadOptions(context=64), keep_alive=9))
    found = await engine.embed(EmbedRequest(model="vectors", inputs=("hello",)))
    assert found.model == "tiny-0"
    (loaded,) = engine.loaded()
    assert loaded.facts is not None and loaded.facts.context == 64


async def test_thinking_goes_together(engine: LocalEngine) -> None:
    script = "scripted:thinking=1,text=<think>a plan</think>an answer"
    await engine.put_alias("quiet", Alias(model=script, thinking=Thinking(visible=False)))

    async def reasoning(**fields: Any) -> str:
        request = GenerationRequest(model="quiet", **saying(**fields))
        return "".join(
            [e.text async for e in engine.generate(request) if isinstance(e, Delta) and e.kind == "reasoning"]
        )

    assert await reasoning() == ""
    assert await reasoning(thinking=Thinking(enabled=True)) == "a plan"


async def test_where_each_value_comes_from(open_engine: Open) -> None:
    engine = open_engine(
        Settings(
            generation=Generation(max_tokens=99, system="from settings", overflow="shift"),
            runtime=Runtime(keep_alive=1.5),
            models=Models(),
        )
    )
    alias = Alias(model="ember", sampling={"top_p": 0.5}, load=LoadOptions(context=256), json_mode=True)
    await engine.put_alias("a", alias)
    setup = await engine.setup("A")
    assert (setup.name, setup.model, setup.backend, setup.alias) == ("a", "ember", "llama", alias)
    expected = {
        "sampling.top_p": (0.5, "alias"),
        "sampling.top_k": (40, "model"),
        "sampling.min_p": (0.0, "default"),
        "max_tokens": (99, "settings"),
        "system": ("from settings", "settings"),
        "overflow": ("shift", "settings"),
        "json_mode": (True, "alias"),
        "load.context": (256, "alias"),
        "load.slots": (4, "default"),
        "keep_alive": (1.5, "settings"),
        "image_max_side": (1440, "default"),
        "backend": ("llama", "default"),
    }
    assert {name: value(setup, name) for name in expected} == expected
    plain = await engine.setup("ember")
    assert plain.alias is None and value(plain, "sampling.top_p")[1] == "model"
    assert value(plain, "load.context")[1] == "model"
    assert engine.loaded() == [], "nothing was loaded to answer that"


async def test_names_of_the_settings_lead_to_models(home: Path, open_engine: Open) -> None:
    path = str(home / "models" / "tiny-0.gguf")
    engine = open_engine(Settings(models=Models(names={"mini": path, "hub": "org/name", "Ember2": "ember"})))
    (_, end) = await answer(engine, "MINI", **saying(max_tokens=1))
    assert end.usage.completion_tokens == 1
    (_, end) = await answer(engine, "mini:tiny-adapter-1", **saying(max_tokens=1))
    assert len(end.adapters) == 1
    await engine.put_alias("over", Alias(model="mini", max_tokens=1))
    assert (await answer(engine, "over"))[1].usage.completion_tokens == 1
    with pytest.raises(ModelNotFound, match="org/name"):
        await answer(engine, "hub")
    with pytest.raises(InvalidRequest, match="name of a model"):
        await engine.put_alias("mini", Alias(model="ember"))


async def test_rules_for_names_and_values(home: Path, engine: LocalEngine) -> None:
    await engine.put_alias("one", Alias(model="ember"))

    async def refused(kind: type[HearthError], match: str, name: str, alias: Alias, **more: Any) -> None:
        before = await engine.aliases()
        with pytest.raises(kind, match=match):
            await engine.put_alias(name, alias, **more)
        assert await engine.aliases() == before

    await refused(InvalidRequest, "name of a model", "Ember", Alias(model="ember"))
    await refused(InvalidRequest, "an alias leads to a model", "two", Alias(model="one"))
    await refused(InvalidRequest, "an alias leads to a model", "two", Alias(model="ONE:poet"))
    await refused(ModelNotFound, "--force", "two", Alias(model="embr"))
    await refused(ModelNotFound, "no such file", "two", Alias(model="/nowhere/x.gguf"))
    await refused(InvalidRequest, "top_p", "two", Alias(model="ember", sampling={"top_p": 2}))
    await refused(InvalidRequest, "nonsense", "two", Alias(model="ember", sampling={"nonsense": 2}))
    await refused(InvalidRequest, "max_tokens", "two", Alias(model="ember", max_tokens=0))
    await refused(InvalidRequest, "load.context", "two", Alias(model="ember", load=LoadOptions(context=1)))
    await refused(
        InvalidRequest,
        "8 bits",
        "two",
        Alias(model="ember-hf", load=LoadOptions(load_in_8bit=True, load_in_4bit=True)),
    )
    await refused(InvalidRequest, "cannot run", "two", Alias(model="ember", backend="mlx"))
    await refused(Unsupported, "`dtype`", "two", Alias(model="ember", load=LoadOptions(dtype="bfloat16")))
    await refused(InvalidRequest, "`split`", "two", Alias(model="ember", load=LoadOptions(split="x")))
    await refused(InvalidRequest, "one system prompt", "two", Alias(model="ember", system="x", prompt="y"))
    await refused(InvalidRequest, "no prompt", "two", Alias(model="ember", prompt="y"))
    await refused(InvalidRequest, "not valid Jinja", "two", Alias(model="ember", template="{{ .System }}"))
    await refused(InvalidRequest, "cannot be the name", "../x", Alias(model="ember"))
    await refused(InvalidRequest, "scripted", "scripted:x", Alias(model="ember"))
    await refused(InvalidRequest, "already", "ONE", Alias(model="ember"), overwrite=False)
    await engine.put_alias("later", Alias(model="embr"), force=True)
    with pytest.raises(ModelNotFound, match="alias 'later'"):
        await answer(engine, "later")
    # A path is kept whole, so that it is the same from everywhere.
    os.chdir(home)
    try:
        await engine.put_alias("path", Alias(model="./models/tiny-0.gguf:tiny-adapter-1"))
    finally:
        os.chdir(Path(__file__).parent)
    kept = (await engine.alias("path")).alias
    assert kept is not None and kept.model == f"{home}/models/tiny-0.gguf:tiny-adapter-1"
    assert (await answer(engine, "path", **saying(max_tokens=1)))[1].adapters


async def test_copies_and_new_names(engine: LocalEngine, tmp_path: Path) -> None:
    alias = Alias(model="ember", description="d")
    await engine.put_alias("one", alias)
    assert await engine.copy_alias("ONE", "two") == "two"
    assert await engine.rename_alias("one", "One") == "One", "only its spelling"
    assert await engine.rename_alias("one", "three") == "three"
    assert {each.name: each.alias for each in await engine.aliases()} == {"two": alias, "three": alias}
    with pytest.raises(InvalidRequest, match="already"):
        await engine.copy_alias("three", "TWO")
    with pytest.raises(InvalidRequest, match="name of a model"):
        await engine.rename_alias("three", "ember")
    with pytest.raises(ModelNotFound, match="Did you mean two"):
        await engine.copy_alias("twoo", "x")
    await engine.put_alias("TWO", Alias(model="ember"))
    names = list(json.loads((tmp_path / "home" / "aliases.json").read_text())["aliases"])
    assert sorted(names) == ["TWO", "three"], "another spelling is the same alias"


async def test_a_well_known_name_says_where_it_is(engine: LocalEngine) -> None:
    with pytest.raises(ModelNotFound, match=r"bartowski/Llama-3\.2-3B-Instruct-GGUF"):
        await answer(engine, "Llama3.2:latest")


async def test_the_backend_of_an_alias_is_the_one_that_answers(engine: LocalEngine) -> None:
    await engine.put_alias("named", Alias(model="scripted:text=one", backend="scripted"))
    assert (await answer(engine, "named"))[1].backend == "scripted"
    with pytest.raises(InvalidRequest, match="cannot run"):
        await answer(engine, "named", **saying(backend="llama"))


async def test_a_prompt_is_shown_as_it_would_be_read(open_engine: Open, home: Path) -> None:
    engine = open_engine(Settings(generation=Generation(system="By the settings.")))
    said = (Message(role="user", content="One."), Message(role="assistant", content="Two."))
    alias = Alias(model="tiny-0", system="By the alias.", messages=said, template=ECHO)
    await engine.put_alias("echo", alias)
    talk = (Message(role="user", content="Three."),)
    shown = await engine.render("echo", talk)
    assert shown == "[system=By the alias.][user=One.][assistant=Two.][user=Three.]"
    assert len(await engine.tokenize("echo", shown)) == await engine.count(
        GenerationRequest(model="echo", messages=talk)
    )
    assert await engine.render("tiny-0", talk) == "system: By the settings.\nuser: Three.\nassistant:"

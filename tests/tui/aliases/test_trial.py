"""What the try-it box asks is what the alias would have asked, once it is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.runtime.completing import completed
from engine.runtime.ticket import Target
from engine.sampling import merged
from engine.settings import Generation, Settings
from engine.types import Alias, GenerationRequest, LoadOptions, Message, ModelEntry, Thinking
from tui.screens.aliases.trial import request_by

ENTRY = ModelEntry(id="m", path="m", format="scripted", source="path")
aliases = st.builds(
    Alias,
    model=st.just("m"),
    system=st.sampled_from([None, "S"]),
    template=st.sampled_from([None, "{{ messages }}"]),
    messages=st.sampled_from([(), (Message(role="system", content="x"), Message(role="user", content="u"))]),
    sampling=st.dictionaries(st.sampled_from(["top_k", "seed"]), st.integers(0, 9)),
    stop=st.sampled_from([(), ("a", "b")]),
    max_tokens=st.sampled_from([None, 3]),
    json_mode=st.booleans(),
    thinking=st.sampled_from(
        [None, Thinking(enabled=False), Thinking(effort="low", budget=3, visible=False)]
    ),
    overflow=st.sampled_from([None, "refuse"]),
    load=st.sampled_from([None, LoadOptions(context=64, load_in_8bit=True)]),
    keep_alive=st.sampled_from([None, -1.0, 5.0]),
    image_max_side=st.sampled_from([None, 640]),
)


@given(aliases, st.sampled_from([None, "of the settings"]))
def test_the_request_says_all_that_the_alias_would(alias: Alias, default: str | None) -> None:
    settings = Settings(generation=Generation(system=default))
    asked = GenerationRequest(
        model="name", messages=(Message(role="user", content="why"),), client="tui", source="tui",
        priority="interactive",
    )  # fmt: skip
    by_name = completed(asked, Target(entry=ENTRY, backend="scripted", alias=alias), settings)
    tried = completed(request_by(alias, "why"), Target(entry=ENTRY, backend="scripted"), settings)
    assert tried == replace(by_name, model="m", sampling=merged((by_name.sampling, alias.sampling)))


def test_the_text_of_a_named_prompt_takes_the_place_of_its_name() -> None:
    assert request_by(Alias(model="m", prompt="poet"), "why", "You are a poet.").system == "You are a poet."

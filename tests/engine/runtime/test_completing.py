"""What a request leaves open is filled in from its alias, then from the settings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.completing import completed, load_of, thinking_of
from engine.runtime.ticket import Target
from engine.settings import Generation, Media, Settings
from engine.types import Alias, Constraint, GenerationRequest, LoadOptions, Message, ModelEntry, Thinking

ENTRY = ModelEntry(id="m", path="m", format="scripted", source="path")
SETTINGS = Settings(
    generation=Generation(max_tokens=7, system="S", overflow="refuse"), media=Media(max_side=99)
)
USER = Message(role="user", content="hi")


def target(**alias: object) -> Target:
    return Target(entry=ENTRY, backend="scripted", alias=Alias(model="m", **alias))  # type: ignore[arg-type]


def request(**fields: object) -> GenerationRequest:
    return GenerationRequest(model="m", **{"messages": (USER,), **fields})  # type: ignore[arg-type]


def test_the_settings_fill_in_what_nobody_says() -> None:
    made = completed(request(), Target(entry=ENTRY, backend="scripted"), SETTINGS)
    assert (made.max_tokens, made.system, made.overflow, made.image_max_side) == (7, "S", "refuse", 99)
    assert made.keep_alive is None and made.load == LoadOptions() and made.thinking == Thinking()


def test_a_request_goes_before_an_alias_in_everything() -> None:
    alias = target(
        system="A", template="{{ messages }}", stop=("a",), max_tokens=1, json_mode=True,
        thinking=Thinking(effort="low"), overflow="shift", load=LoadOptions(context=100), keep_alive=1,
        image_max_side=64,
    )  # fmt: skip
    bare = completed(request(), alias, SETTINGS)
    assert (bare.system, bare.template, bare.stop, bare.max_tokens) == ("A", "{{ messages }}", ("a",), 1)
    assert bare.constraint == Constraint(kind="json") and bare.thinking == Thinking(effort="low")
    assert (bare.overflow, bare.load.context, bare.keep_alive, bare.image_max_side) == ("shift", 100, 1, 64)
    said = request(
        system="R", template="{{ x }}", stop=("r",), max_tokens=2, constraint=Constraint(kind="regex", value="x"),
        thinking=Thinking(enabled=False), overflow="refuse", load=LoadOptions(context=200), keep_alive=2,
        image_max_side=65,
    )  # fmt: skip
    assert completed(said, alias, SETTINGS) == said


def test_no_request_and_no_alias_goes_beyond_the_longest_side_of_the_settings() -> None:
    plain = Target(entry=ENTRY, backend="scripted")
    for said, own, made in (
        (4096, None, 99),
        (None, 4096, 99),
        (64, 4096, 64),
        (98, None, 98),
        (None, 70, 70),
    ):
        asked = request(image_max_side=said)
        held = completed(asked, plain if own is None else target(image_max_side=own), SETTINGS)
        assert held.image_max_side == made


def test_gaps_and_raw_text_get_no_system_and_no_template() -> None:
    alias = target(system="A", template="{{ messages }}", json_mode=True, messages=(USER,), stop=("a",))
    for fields in ({"prompt": "x", "raw": True}, {"prompt": "x", "suffix": "y"}, {"tokens": (1,)}):
        made = completed(request(messages=None, **fields), alias, SETTINGS)
        assert made.system is None and made.template is None and made.messages is None
        assert made.stop == ("a",)
        assert (made.constraint is None) == ("suffix" in fields)


def test_halves_that_go_together() -> None:
    own = Thinking(enabled=False, visible=False)
    assert thinking_of(Thinking(), own) == own
    assert thinking_of(Thinking(effort="high"), own) == Thinking(effort="high")
    assert thinking_of(Thinking(enabled=False), Thinking(effort="high", budget=3)) == Thinking(enabled=False)
    assert thinking_of(Thinking(budget=9), Thinking(effort="high", budget=3)) == Thinking(
        effort="high", budget=9
    )
    assert thinking_of(Thinking(enabled=True), Thinking(budget=3)) == Thinking(enabled=True, budget=3)
    eight = target(load=LoadOptions(load_in_8bit=True, context=50))
    assert load_of(LoadOptions(load_in_4bit=True), eight) == LoadOptions(load_in_4bit=True, context=50)


_options = st.builds(
    LoadOptions,
    context=st.none() | st.integers(8, 99),
    slots=st.none() | st.integers(1, 4),
    use_mmap=st.none() | st.booleans(),
    kv_type=st.none() | st.just("q8_0"),
)


@given(said=_options, own=_options)
def test_load_options_field_by_field(said: LoadOptions, own: LoadOptions) -> None:
    made = load_of(said, target(load=own))
    for name in LoadOptions.__struct_fields__:
        mine, its = getattr(said, name), getattr(own, name)
        assert getattr(made, name) == (its if mine is None else mine)

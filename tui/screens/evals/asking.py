"""What is asked before a run, a bench or a battle, and what the answers come to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import Engine
from engine.errors import HearthError
from tui import units
from tui.asking.choices import ALIAS, choices
from tui.choosing import Offered, Offers
from tui.field_form import Field, Values

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from evals import Plan, Settings

MODEL = "NAME@http://host:port/v1, MODEL:ADAPTER, or a path"


async def model_offers(engine: Callable[[], Awaitable[Engine]]) -> list[Offered]:
    """Models and aliases, each model with each of its adapters behind it."""
    found: list[Offered] = []
    for entry in sorted(await choices(await engine()), key=lambda each: each.id):
        if entry.broken:
            continue
        alias = entry.source == ALIAS
        facts = [units.parameters(entry.parameters), entry.quantisation, "alias" if alias else ""]
        found.append(Offered(entry.id, " ".join(each for each in facts if each and each != "–")))
        if not alias:
            found += [Offered(f"{entry.id}:{name}", "adapter") for name in entry.adapters]
    return found


async def dataset_offers(folder: Path, used: Sequence[str]) -> list[Offered]:
    """The shipped sets, those of one's own in `folder`, and the files that were used before."""
    import asyncio

    from evals import SHIPPED

    own = await asyncio.to_thread(lambda: sorted(folder.glob("*.jsonl")) if folder.is_dir() else [])
    files = dict.fromkeys([*map(str, own), *(each for each in used if each not in SHIPPED)])
    return [*(Offered(name, about) for name, about in SHIPPED.items()), *(Offered(path) for path in files)]


async def scorer_offers() -> list[Offered]:
    """All scorers, with what they look at."""
    from evals import SCORERS

    return [Offered(name, about) for name, (_, about) in SCORERS.items()]


def run_fields(models: Offers, datasets: Offers, before: Settings | None, model: str) -> tuple[Field, ...]:
    """What a run is asked by; it begins with the settings of `before`, or with `model` alone."""
    said = before.conditions if before is not None else None
    sampling = dict(said.sampling) if said is not None else {}
    return (
        Field(name="dataset", title="Dataset", kind="one", value=before.dataset if before else "golden_general",
              offers=datasets, typed="the path of a JSONL, CSV or Parquet file",
              note="A shipped set, or a file of your own."),
        Field(name="models", title="Models", kind="many", empty="choose at least one", offers=models, typed=MODEL,
              value=tuple(each.label for each in before.subjects) if before else (model,) if model else (),
              note="The others are compared with the first. Adapters and aliases count as models."),
        Field(name="scorers", title="Scorers", kind="many", offers=scorer_offers, empty="the dataset's own",
              typed="NAME:OPTION=VALUE", value=tuple(each.label for each in before.scorers) if before else (),
              note="The first gives the score."),
        Field(name="limit", title="Samples", kind="number", value=before.limit if before else None, empty="all",
              least=1, note="Only the first samples."),
        Field(name="shots", title="Shots", kind="number", value=before.shots if before and before.shots else None,
              empty="none", least=0, most=100, note="Worked examples, taken from the first samples."),
        Field(name="temperature", title="Temperature", kind="number", whole=False, most=5, empty="0, greedy",
              value=sampling.get("temperature") or None, note="0 takes the likeliest token each time."),
        Field(name="epochs", title="Epochs", kind="number", least=1, most=1000, empty="1",
              value=before.epochs if before and before.epochs > 1 else None,
              note="Ask each sample this often; needs a temperature."),
        Field(name="judge", title="Judge", kind="one", value=before.judge or "" if before else "", empty="none",
              offers=models, typed=MODEL, note="The model that judges, for the scorer `rubric` and for pairs."),
        Field(name="pairwise", title="Pairs", kind="switch", value=before.pairwise if before else False,
              note="Have the judge compare each answer with the first model's, twice, places changed."),
        Field(name="runs_code", title="Run code", kind="switch", value=before.runs_code if before else False,
              note="Run the Python that models write, shut in a sandbox; for the scorer `code`."),
        Field(name="reproducible", title="Same again", kind="switch", value=said.reproducible if said else False,
              note="One at a time, nothing cached, no flash attention: the same bits each time. Loads models anew."),
    )  # fmt: skip


def is_file_name(text: str) -> bool:
    """Whether a dataset can be called so."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", text) is not None


def with_values(fields: Sequence[Field], values: Values) -> tuple[Field, ...]:
    """The fields as they were filled in."""
    return tuple(dataclasses.replace(field, value=values[field.name]) for field in fields)


def run_problem(values: Values) -> str:
    """What keeps a run from being begun, as far as the form can tell."""
    if not values["dataset"]:
        return "Choose a dataset."
    if not values["models"]:
        return "Choose a model."
    if (values["epochs"] or 1) > 1 and not values["temperature"]:
        return "Greedy answers do not differ from epoch to epoch: give a temperature."
    if values["pairwise"] and (len(values["models"]) < 2 or not values["judge"]):
        return "Pairs need a second model, and a judge."
    return ""


def settings_of(values: Values, before: Settings | None) -> Settings:
    """The settings of a run. Raises InvalidRequest. What the form does not ask is as it was `before`."""
    from msgspec.structs import replace

    from evals import Conditions, Settings, spec_of, subjects

    base = (
        before
        if before is not None and before.dataset == values["dataset"]
        else Settings(dataset=values["dataset"])
    )
    conditions = before.conditions if before is not None else Conditions()
    sampling = {**conditions.sampling, "temperature": float(values["temperature"] or 0.0)}
    return replace(
        base,
        subjects=subjects(values["models"]),
        scorers=tuple(spec_of(each) for each in values["scorers"]),
        limit=values["limit"],
        shots=int(values["shots"] or 0),
        epochs=values["epochs"] or 1,
        k=min(base.k, values["epochs"] or 1),
        judge=values["judge"] or None,
        pairwise=values["pairwise"],
        runs_code=values["runs_code"],
        conditions=replace(conditions, sampling=sampling, reproducible=values["reproducible"]),
    )


def bench_fields(models: Offers, model: str) -> tuple[Field, ...]:
    """What a bench is asked by."""
    return (
        Field(name="models", title="Models", kind="many", value=(model,) if model else (), offers=models, typed=MODEL,
              empty="choose at least one", note="All are measured in one run, load by load."),
        Field(name="concurrency", title="At a time", kind="text", value="1",
              note="Requests at a time (closed loop), several loads with commas: 1,2,4."),
        Field(name="rate", title="A second", kind="text", empty="closed loop",
              note="Requests a second as they would come (open loop) instead: 0.5,2."),
        Field(name="runs", title="Requests", kind="number", value=10, least=1, most=100_000,
              note="Of each load. Below ten there is no P90."),
        Field(name="warmup", title="Warm-up", kind="number", value=1, most=1000,
              note="Requests before each load, which do not count."),
        Field(name="input_len", title="Input", kind="number", value=128, least=1, note="Tokens of a prompt."),
        Field(name="output_len", title="Output", kind="number", value=64, least=1, note="Tokens of an answer."),
        Field(name="prompt", title="Prompt", kind="text", empty="words of that length",
              note="Your own text instead; its prefix is then cached after the first request."),
    )  # fmt: skip


def bench_problem(values: Values) -> str:
    """What keeps a bench from being begun."""
    if not values["models"]:
        return "Choose a model."
    try:
        plan_of(values)
    except ValueError:
        return "Loads are numbers with commas between them."
    except HearthError as error:
        return error.info.sentence()
    return ""


def plan_of(values: Values) -> Plan:
    """The plan of a bench. Raises ValueError for loads that are no numbers, InvalidRequest for what cannot be."""
    from evals import Plan, Shape

    rate: str = values["rate"] or ""
    if rate.strip():
        shapes = tuple(Shape(rate=float(part)) for part in rate.split(","))
    else:
        shapes = tuple(Shape(concurrency=int(part)) for part in (values["concurrency"] or "1").split(","))
    plan = Plan(
        shapes=shapes,
        runs=values["runs"] or 10,
        warmup=values["warmup"] or 0,
        input_len=values["input_len"] or 128,
        output_len=values["output_len"] or 64,
        prompt=values["prompt"] or None,
    )
    plan.check()
    return plan


def battle_fields(models: Offers, known: Sequence[str]) -> tuple[Field, ...]:
    """What the battles are asked by."""
    return (
        Field(name="models", title="Models", kind="many", value=tuple(known), offers=models, typed="MODEL:ADAPTER",
              empty="choose at least two", note="Two of them are drawn for each battle, and which is left."),
        Field(name="system", title="System", kind="text", empty="none", note="A system prompt for both."),
        Field(name="max_tokens", title="At most", kind="number", value=512, least=1, note="Tokens of an answer."),
    )  # fmt: skip


def battle_problem(values: dict[str, Any] | Values) -> str:
    """What keeps the battles from being begun."""
    if len(values["models"]) < 2:
        return "Choose at least two models."
    if any("@http" in each for each in values["models"]):
        return "Battles are between models of this engine."
    return ""

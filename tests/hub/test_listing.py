"""Searching, and comparing the forms that a model comes in."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.errors import InvalidRequest
from engine.local import LocalEngine
from engine.settings import Hub, Runtime, Settings
from engine.types import HubQuery, PullRequest
from tests.hub.conftest import Open, noise
from tests.hub.server import HubServer
from tests.weights import tiny_chat


def about(downloads: int, tags: list[str], **more: object) -> dict[str, object]:
    return {"downloads": downloads, "tags": tags, **more}


@pytest.fixture
def shelf(hub: HubServer) -> HubServer:
    files = {"m.gguf": b"x"}
    hub.add(
        "org/alpha-GGUF",
        files,
        about=about(
            500,
            ["gguf", "license:apache-2.0"],
            likes=1,
            pipeline_tag="text-generation",
            gguf={"total": 7_600_000_000, "architecture": "llama", "context_length": 8192},
        ),
    )
    hub.add("org/beta-MLX", files, about=about(900, ["mlx", "safetensors"], likes=2, library_name="mlx"))
    hub.add(
        "other/alpha", files, about=about(100, ["safetensors"], likes=9, safetensors={"total": 600_000_000})
    )
    return hub


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (HubQuery(), ["org/beta-MLX", "org/alpha-GGUF", "other/alpha"]),
        (HubQuery(order="likes"), ["other/alpha", "org/beta-MLX", "org/alpha-GGUF"]),
        (HubQuery(text="alpha"), ["org/alpha-GGUF", "other/alpha"]),
        (HubQuery(library="gguf"), ["org/alpha-GGUF"]),
        (HubQuery(library="mlx"), ["org/beta-MLX"]),
        (HubQuery(author="other"), ["other/alpha"]),
        (HubQuery(task="text-generation"), ["org/alpha-GGUF"]),
        (HubQuery(most_parameters=1_000_000_000), ["org/beta-MLX", "other/alpha"]),
        (HubQuery(limit=1), ["org/beta-MLX"]),
        (HubQuery(text="nothing"), []),
    ],
)
async def test_a_search_narrows_and_sorts(
    shelf: HubServer, opened: Open, query: HubQuery, names: list[str]
) -> None:
    async with opened() as service:
        assert [each.id for each in await service.search(query)] == names


async def test_what_a_search_tells_of_a_model(shelf: HubServer, opened: Open) -> None:
    async with opened() as service:
        (found,) = await service.search(HubQuery(library="gguf"))
    assert (found.parameters, found.architecture, found.context) == (7_600_000_000, "llama", 8192)
    assert (found.licence, found.libraries, found.gated, found.modified[:4]) == (
        "apache-2.0",
        ("gguf",),
        False,
        "2026",
    )


async def test_what_is_found_has_a_verdict_by_its_size(
    shelf: HubServer, engine_at: HubServer, hearth_home: Path
) -> None:
    by_type = {"parameters": {"BF16": 1_000_000_000, "F32": 10}, "total": 9}
    shelf.add("org/folder", {"config.json": b"{}"}, about=about(1, ["safetensors"], safetensors=by_type))
    engine = LocalEngine(Settings(runtime=Runtime(memory_limit=2**31, memory_margin=0.0)))
    try:
        page = await engine.search_hub(HubQuery())
        fitting = await engine.search_hub(HubQuery(fits=True))
    finally:
        await engine.close()
    found = {each.id: each for each in page.models}
    assert found["org/folder"].size == 2_000_000_040
    assert found["org/alpha-GGUF"].size == 7_600_000_000 * 5 // 8
    verdicts = {name: each.verdict for name, each in found.items() if each.size}
    assert verdicts["org/alpha-GGUF"] == "too big" and verdicts["org/folder"] == "tight"
    assert [each.id for each in fitting.models] == [
        each.id for each in page.models if each.verdict != "too big"
    ]


async def test_a_tree_is_read_page_after_page(hub: HubServer, opened: Open) -> None:
    hub.page = 7
    hub.add("org/many", {f"part{n}/m-Q4_K_M.gguf": noise(9000, n) for n in range(40)})
    async with opened() as service:
        offer = await service.offer("org/many")
    assert len(offer.quantisations) == 40
    # Its folders are entries too.
    assert len(hub.asked("/tree/")) == 12


@pytest.fixture
def engine_at(hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """A hub that every engine of this test asks, with a cache of its own."""
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return hub


async def test_forms_are_compared_by_what_they_would_need(
    engine_at: HubServer, hearth_home: Path, tmp_path: Path
) -> None:
    small = tiny_chat(tmp_path).read_bytes()
    large = small + bytes(40_000_000)
    engine_at.add("org/tiny-GGUF", {"tiny-Q4_K_M.gguf": small, "tiny-F16.gguf": large})
    engine = LocalEngine(Settings())
    try:
        offer = await engine.hub_files("org/tiny-GGUF")
    finally:
        await engine.close()
    usual, other = offer.quantisations
    assert (usual.name, usual.verdict, usual.recommended) == ("Q4_K_M", "fits", True)
    assert not other.recommended and offer.free > 0
    # As many bytes more to hold as the file has more.
    assert other.need - usual.need == pytest.approx(40_000_000, rel=0.01)


async def test_what_does_not_fit_is_not_taken_unasked(
    engine_at: HubServer, hearth_home: Path, tmp_path: Path
) -> None:
    small = tiny_chat(tmp_path).read_bytes()
    engine_at.add("org/tiny-GGUF", {"tiny-Q4_K_M.gguf": small + bytes(60_000_000), "tiny-Q2_K.gguf": small})
    engine = LocalEngine(Settings(runtime=Runtime(memory_limit=80_000_000)))
    try:
        offer = await engine.hub_files("org/tiny-GGUF")
        plan = await engine.plan_pull(PullRequest(model="org/tiny-GGUF"))
    finally:
        await engine.close()
    assert {each.name: each.verdict for each in offer.quantisations} == {"Q2_K": "fits", "Q4_K_M": "too big"}
    assert plan.model == "org/tiny-GGUF:Q2_K" and plan.missing == len(small) and plan.disk_free > 0


async def test_what_fits_only_just_is_tight_before_a_pull_as_after_it(
    engine_at: HubServer, hearth_home: Path, tmp_path: Path
) -> None:
    engine_at.add("org/tiny-GGUF", {"tiny-Q4_K_M.gguf": tiny_chat(tmp_path).read_bytes()})
    said = []
    for share in (0.8, 0.95):
        runtime = Runtime(context=256, slots=1, memory_margin=0.0)
        engine = LocalEngine(Settings(runtime=runtime))
        try:
            (form,) = (await engine.hub_files("org/tiny-GGUF")).quantisations
            engine.adopt(Settings(runtime=replace(runtime, memory_limit=int(form.need / share))))
            (form,) = (await engine.hub_files("org/tiny-GGUF")).quantisations
        finally:
            await engine.close()
        said.append(form.verdict)
    assert said == ["fits", "tight"]


async def test_without_a_network_a_search_shows_what_is_here(hearth_home: Path) -> None:
    engine = LocalEngine(Settings(hub=Hub(offline=True)))
    try:
        page = await engine.search_hub(HubQuery(text="ember"))
        with pytest.raises(InvalidRequest):
            await engine.search_hub(HubQuery(limit=0))
    finally:
        await engine.close()
    assert [entry.id for entry in page.local][:1] == ["ember"]
    assert page.models == () and page.problem is not None and page.problem.code == "hub_unavailable"

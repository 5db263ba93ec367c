"""The KV formula on headers of published models, beside llama.cpp's own plan and the figures that are known of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.library import Header, read_header
from engine.library.dimensions import dimensions_of
from engine.library.fit import kv_bytes, needs, sequences_of
from engine.library.shape import DryRun, context_shape
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama.dryrun import simulated
from engine.types import Device, LoadOptions
from tests.weights.published import PUBLISHED

WAYS = {
    "one long window": LoadOptions(context=8192, slots=1),
    "sixteen short ones": LoadOptions(context=1024, slots=16),
    "windows as narrow as the model allows": LoadOptions(context=4096, slots=4, whole_window=False),
    "a quantised cache": LoadOptions(context=2048, slots=2, kv_type="q8_0", flash_attention=True),
}


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Header]]:
    folder = tmp_path_factory.mktemp("published")
    paths = {
        name: model.write(folder / f"{number}.gguf") for number, (name, model) in enumerate(PUBLISHED.items())
    }
    return {name: (path, read_header(path)) for name, path in paths.items()}


def planned(path: Path, options: LoadOptions) -> DryRun:
    with simulated(LoadSpec(model=path.stem, path=str(path), options=options)) as found:
        return found.dry_run


def by_formula(header: Header, options: LoadOptions) -> int:
    dimensions = dimensions_of(header)
    shape = context_shape(options, dimensions.context)
    sequences = sequences_of(dimensions, shape)
    return sum(kv_bytes(layer, shape, sequences, options.kv_type) for layer in dimensions.layers)


def test_they_are_of_at_least_eight_architectures_of_every_kind() -> None:
    assert len({model.architecture for model in PUBLISHED.values()}) >= 8


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_keys_and_values_take_what_llama_cpp_plans(
    headers: dict[str, tuple[Path, Header]], name: str, way: str
) -> None:
    path, header = headers[name]
    options = WAYS[way]
    # Its log has two digits behind the point of a mebibyte, for keys and values and both kinds of state.
    assert by_formula(header, options) == pytest.approx(
        sum(planned(path, options).kv_cache.values()), rel=1e-4, abs=25_000
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_a_dry_run_the_whole_is_within_five_percent(
    headers: dict[str, tuple[Path, Header]], name: str
) -> None:
    path, header = headers[name]
    dimensions = dimensions_of(header)
    for options in (
        LoadOptions(),
        LoadOptions(context=4096, slots=1),
        LoadOptions(flash_attention=False, slots=2),
    ):
        shape = context_shape(options, dimensions.context)
        (ruled,), (exact,) = (
            needs(
                [header],
                dimensions,
                shape,
                [Device(name="CPU")],
                flash_attention=options.flash_attention,
                dry_run=dry_run,
            )
            for dry_run in (None, planned(path, options))
        )
        assert ruled.total == pytest.approx(exact.total, rel=0.05)


@pytest.mark.parametrize(
    ("name", "per_token"),
    [
        # Layers × KV heads × elements of a head × keys and values × two bytes, as the model cards let one work out.
        ("Llama 3.1 8B", 32 * 8 * 128 * 2 * 2),
        ("Qwen2.5 7B", 28 * 4 * 128 * 2 * 2),
        ("Qwen3 30B A3B", 48 * 4 * 128 * 2 * 2),
        ("Phi 3 mini", 32 * 32 * 96 * 2 * 2),
        ("OpenELM 270M", (3 * 5 + 4 * 7 + 5 * 4) * 64 * 2 * 2),
        # One compressed row and the rotated part of the keys, for all heads together.
        ("DeepSeek V2 Lite", 27 * (512 + 64) * 2),
        ("Granite 4.0 H Tiny", 4 * 4 * 128 * 2 * 2),
        ("LFM2 1.2B", 6 * 8 * 64 * 2 * 2),
        ("Mamba 2.8B", 0),
    ],
)
def test_a_token_takes_what_is_known_of_the_model(
    headers: dict[str, tuple[Path, Header]], name: str, per_token: int
) -> None:
    _, header = headers[name]
    short, long = (by_formula(header, LoadOptions(context=cells, slots=1)) for cells in (512, 1536))
    assert long - short == 1024 * per_token


@pytest.mark.parametrize(
    ("name", "window", "wide"), [("Gemma 3 4B", 1024, 5), ("gpt-oss 20B", 128, 12), ("Gemma 2 9B", 4096, 21)]
)
def test_layers_with_a_window_take_no_more_than_that(
    headers: dict[str, tuple[Path, Header]], name: str, window: int, wide: int
) -> None:
    layers = dimensions_of(headers[name][1]).layers
    assert {layer.window for layer in layers} == {0, window}
    assert sum(layer.window == 0 for layer in layers) == wide

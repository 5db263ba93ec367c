"""Which files of a repository are the right ones."""

from __future__ import annotations

import hashlib

import pytest
from msgspec.structs import replace

from engine.errors import ModelNotFound, Unsupported
from engine.hub.choice import best, chosen, quantisations
from engine.library.quantisations import label_of
from engine.types import HubFile, Quantisation


def files(*said: str | tuple[str, int]) -> list[HubFile]:
    """Files of those paths, of one MB where no size is said."""
    found = []
    for each in said:
        path, size = (each, 1_000_000) if isinstance(each, str) else each
        etag = hashlib.sha256(path.encode()).hexdigest()
        found.append(HubFile(path=path, size=size, etag=etag, sha256=etag))
    return found


def paths(each: Quantisation) -> list[str]:
    return [file.path for file in each.files]


GGUF = files(
    ("README.md", 100),
    ("config.json", 100),
    ("model-Q2_K.gguf", 2_000),
    ("model-Q4_K_M.gguf", 4_000),
    ("model-Q8_0.gguf", 8_000),
    ("model-imatrix.gguf", 10),
    ("imatrix.dat", 10),
    ("model-lora-f16.gguf", 10),
    ("mmproj-model-f16.gguf", 600),
    ("mmproj-model-f32.gguf", 1_200),
    ("BF16/model-BF16-00001-of-00002.gguf", 10_000),
    ("BF16/model-BF16-00002-of-00002.gguf", 9_000),
    ("broken/model-Q6_K-00001-of-00003.gguf", 10_000),
)


def test_a_gguf_repository_offers_its_quantisations_with_all_that_belongs_to_them() -> None:
    offered = quantisations(GGUF)
    assert [each.name for each in offered] == ["Q2_K", "Q4_K_M", "Q8_0", "BF16"]
    assert paths(offered[1]) == ["model-Q4_K_M.gguf", "mmproj-model-f16.gguf"]
    assert paths(offered[3]) == [
        "BF16/model-BF16-00001-of-00002.gguf",
        "BF16/model-BF16-00002-of-00002.gguf",
        "mmproj-model-f16.gguf",
    ]
    assert offered[3].size == 19_600


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("q8_0", "Q8_0"),
        ("model-Q2_K.gguf", "Q2_K"),
        ("model-q2_k", "Q2_K"),
        ("bf16", "BF16"),
        ("", "Q4_K_M"),
    ],
)
def test_a_choice_names_a_quantisation_or_a_file(choice: str, found: str) -> None:
    assert chosen("org/name", quantisations(GGUF), choice, GGUF).name == found


def test_a_choice_that_is_not_there_hears_what_is() -> None:
    with pytest.raises(ModelNotFound, match="Q2_K, Q4_K_M, Q8_0, BF16"):
        chosen("org/name", quantisations(GGUF), "Q3_K_S", GGUF)


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        ({"Q2_K": "fits", "Q4_K_M": "fits", "Q8_0": "fits"}, "Q4_K_M"),
        ({"Q2_K": "fits", "Q4_K_M": "too big", "Q8_0": "too big"}, "Q2_K"),
        ({"Q2_K": "fits", "Q4_K_M": "tight", "Q8_0": "too big"}, "Q2_K"),
        ({"Q2_K": "tight", "Q4_K_M": "tight", "Q8_0": "too big"}, "Q4_K_M"),
        ({"Q2_K": "too big", "Q4_K_M": "too big", "Q8_0": "too big"}, "Q2_K"),
        ({}, "Q4_K_M"),
    ],
)
def test_unasked_the_best_that_fits_is_taken(verdicts: dict[str, str], found: str) -> None:
    offered = [
        replace(each, verdict=verdicts.get(each.name, "unknown"))
        for each in quantisations(GGUF)
        if each.name != "BF16"
    ]
    assert best(offered).name == found


def test_without_the_usual_one_the_next_to_it_is_taken() -> None:
    offered = quantisations(
        files(("m-Q8_0.gguf", 8), ("m-Q5_K_M.gguf", 5), ("m-Q2_K.gguf", 2), ("m-F16.gguf", 16))
    )
    assert best(offered).name == "Q5_K_M"


def test_quantisations_of_several_models_are_told_apart_by_their_files() -> None:
    offered = quantisations(files("small-Q4_K_M.gguf", "large-Q4_K_M.gguf", "large-Q8_0.gguf"))
    assert {each.name for each in offered} == {"small-Q4_K_M", "large-Q4_K_M", "Q8_0"}


FOLDER = (
    ("config.json", 700), ("generation_config.json", 100), ("tokenizer.json", 9_000), ("tokenizer_config.json", 900),
    ("special_tokens_map.json", 90), ("chat_template.jinja", 90), ("preprocessor_config.json", 90),
    ("additional_chat_templates/tool_use.jinja", 90), ("LICENSE", 90), ("README.md", 90), (".gitattributes", 9),
    ("model.safetensors.index.json", 900), ("model-00001-of-00002.safetensors", 50_000),
    ("model-00002-of-00002.safetensors", 40_000), ("consolidated.safetensors", 90_000),
    ("original/consolidated.00.pth", 90_000), ("original/params.json", 90), ("pytorch_model.bin", 90_000),
    ("tf_model.h5", 90_000), ("flax_model.msgpack", 90_000), ("modeling_evil.py", 90), ("onnx/model.onnx", 90_000),
    ("adapter_model.safetensors", 100), ("training_args.bin", 90), ("optimizer.pt", 90_000), ("run.sh", 10),
    ("images/a.png", 10),
)  # fmt: skip
FETCHED = {
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja", "preprocessor_config.json", "additional_chat_templates/tool_use.jinja", "LICENSE",
    "README.md", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
}  # fmt: skip


@pytest.mark.parametrize(
    "index",
    [
        None,
        {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"},
        {"a": "../../etc/passwd.safetensors"},
        {"a": "pytorch_model.bin"},
        {"a": "gone.safetensors"},
    ],
)
def test_of_a_model_folder_only_what_loaders_read_is_fetched(index: dict[str, str] | None) -> None:
    (offered,) = quantisations(files(*FOLDER), index, mlx=True)
    assert offered.format == "mlx" and set(paths(offered)) == FETCHED
    assert offered.weights == 90_000
    assert chosen("org/name", [offered], "", ()) is offered


def test_python_files_are_fetched_of_trusted_revisions_alone() -> None:
    (offered,) = quantisations(files(*FOLDER), code=True)
    assert set(paths(offered)) == FETCHED | {"modeling_evil.py"}


def test_shards_that_are_not_all_there_are_no_model() -> None:
    said = [each for each in FOLDER if each[0] != "model-00001-of-00002.safetensors"]
    assert quantisations(files(*(each for each in said if each[0] != "consolidated.safetensors"))) == []


def test_pickled_weights_alone_are_refused_by_name() -> None:
    said = files("config.json", "pytorch_model.bin", "tokenizer.json")
    with pytest.raises(Unsupported, match=r"no safe weights.*pytorch_model\.bin"):
        chosen("org/name", quantisations(said), "", said)
    with pytest.raises(ModelNotFound, match="no model that Hearth could run"):
        chosen("org/name", [], "", files("README.md"))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Qwen3-0.6B-Q4_K_M", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q4_k_m", "Q4_K_M"),
        ("Llama-3.2-3B-Instruct-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("model-IQ2_XXS", "IQ2_XXS"),
        ("model.Q8_0", "Q8_0"),
        ("gpt-oss-20b-mxfp4", "MXFP4"),
        ("model-fp16", "F16"),
        ("model-BF16", "BF16"),
        ("model-Q4_0_4_4", "Q4_0_4_4"),
        ("model-TQ1_0", "TQ1_0"),
        ("Q4_K_M", "Q4_K_M"),
        ("model-7B", ""),
        ("aQ4_K_Mb", ""),
    ],
)
def test_the_quantisation_is_read_from_a_name(name: str, label: str) -> None:
    assert label_of(name) == label


def test_quantisations_in_folders_share_the_projector_of_the_nearest_one_above() -> None:
    offered = quantisations(
        files(
            ("mmproj-F16.gguf", 60),
            ("gguf/mmproj-BF16.gguf", 60),
            ("Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", 900),
            ("Q4_K_M/m-Q4_K_M-00002-of-00002.gguf", 900),
            ("gguf/Q8_0/m-Q8_0.gguf", 3_000),
        )
    )
    assert [paths(each)[-1] for each in offered] == ["mmproj-F16.gguf", "gguf/mmproj-BF16.gguf"]

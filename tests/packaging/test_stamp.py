"""When the set-up has work to do."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from setup.constraints import kept, pins
from setup.stamp import (
    Stamp,
    dependency_digest,
    highest_level,
    needs_llama_build,
    pinned_version,
    read_stamp,
    write_stamp,
)

BASE = Stamp("base", "d", "0.3.36", "", "")
DEV = replace(BASE, level="dev")


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_stamp_survives_the_disk(tmp_path: Path) -> None:
    write_stamp(tmp_path / "stamp", DEV)
    assert read_stamp(tmp_path / "stamp") == DEV


@pytest.mark.parametrize("content", ["", "{", "[]", '{"level": "base"}', '{"level": 1, "other": 2}'])
def test_a_damaged_stamp_is_no_stamp(tmp_path: Path, content: str) -> None:
    (tmp_path / "stamp").write_text(content)
    assert read_stamp(tmp_path / "stamp") is None


def test_the_development_level_holds_the_base() -> None:
    assert DEV.covers("base") and DEV.covers("dev") and BASE.covers("base")
    assert not BASE.covers("dev")
    assert highest_level(BASE, "base", DEV).level == "dev"
    assert highest_level(BASE, "dev", BASE).level == "dev"
    assert highest_level(BASE, "base", None).level == "base"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("pyproject.toml", '"psutil>=7.0"', '"psutil>=7.1"', True),
        ("pyproject.toml", "cli.launcher:main", "cli.other:main", True),
        ("constraints.txt", "rich==", "rich==9", True),
        ("pyproject.toml", "line-length = 110", "line-length = 100", False),
    ],
)
def test_only_dependencies_make_work(checkout: Path, file: str, old: str, new: str, changes: bool) -> None:
    before = dependency_digest(checkout)
    edit(checkout / file, old, new)
    assert (dependency_digest(checkout) != before) is changes


def test_a_pin_is_found_whatever_its_spelling(checkout: Path) -> None:
    (checkout / "constraints.txt").write_text("# note\nLlama_CPP_python==1.2\n")
    assert pinned_version(checkout, "llama-cpp-python") == "1.2"
    with pytest.raises(KeyError):
        pinned_version(checkout, "torch")


@pytest.mark.parametrize(
    ("stamp", "version", "user", "library", "needed"),
    [
        (None, "0.3.36", "", None, True),
        (BASE, "0.3.36", "", None, False),
        (BASE, "0.3.37", "", None, True),
        (BASE, "0.3.36", "-DGGML_CUDA=ON", None, True),
        (replace(BASE, user_arguments="-DGGML_CUDA=ON"), "0.3.36", "-DGGML_CUDA=ON", None, False),
        (replace(BASE, user_arguments="-DGGML_CUDA=ON"), "0.3.36", "", None, False),
        (BASE, "0.3.36", "", "/opt/llama", False),
        (replace(BASE, cmake_args="-DLLAMA_BUILD=OFF"), "0.3.36", "", "/opt/llama", False),
        (replace(BASE, cmake_args="-DLLAMA_BUILD=OFF"), "0.3.36", "", None, True),
    ],
)
def test_llama_is_compiled_only_when_it_must(stamp, version, user, library, needed) -> None:
    assert needs_llama_build(stamp, version, user, library) is needed


def test_frozen_versions_lose_what_holds_on_this_machine_alone() -> None:
    frozen = "torch==2.13.0+cpu\n-e git+file:///x#egg=hearth\nrich==15.0.0\nlocal @ file:///y\n# note==1\n"
    assert pins(frozen) == ["torch==2.13.0", "rich==15.0.0"]


def test_a_pin_of_what_another_python_installs_is_kept() -> None:
    before = "# heading\ngone==1.0\ntextual==8.2.8\ntextual-image==0.14.2\n"
    declared = [
        "textual-image>=0.14,<0.15; python_version >= '3.12'",
        "torch>=2.8",
        "mlx; sys_platform == 'linux'",
    ]
    assert kept(before, declared) == ["textual-image==0.14.2"]

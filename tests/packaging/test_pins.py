"""The declared dependencies, the pinned versions, and that no file names a registry."""

import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("pytorch", "org/whl"))]
OPTIONS = ["--" + "index-url", "--" + "extra-index-url", "--" + "find-links"]


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pinned(repository: Path) -> dict[str, str]:
    lines = (repository / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_declared_dependency_is_pinned_within_its_range(project: dict, pinned: dict[str, str]) -> None:
    declared = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_exact_ones_are_exact(project: dict, pinned: dict[str, str]) -> None:
    assert "textual==8.2.8" in project["dependencies"]
    assert pinned["torch"] == "2.13.0"


def test_pins_hold_on_every_platform(pinned: dict[str, str]) -> None:
    assert not [version for version in pinned.values() if "+" in version or "@" in version]


def test_no_file_names_a_registry(repository: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        check=True,
    ).stdout.decode()
    files = [repository / name for name in listed.split("\0") if name]
    assert repository / "pyproject.toml" in files
    for path in files:
        if path.is_file():
            content = path.read_bytes()
            assert not [word for word in REGISTRIES + OPTIONS if word.encode() in content], path

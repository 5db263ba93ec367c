"""A wheel installed into an environment of its own finds its themes, styles and starter model."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOMS = ("engine", "api", "evals", "tui", "cli", "starter", "benchmarks", "themes")


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(repository),
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("hearth-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel, and the dependencies of this one behind it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin" / "python"),
        "install",
        "--no-deps",
    ]
    command += ["--no-index", "--no-warn-script-location", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # The path alone, not site.addsitedir: the .pth of an editable checkout must not come along.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(command: list[str], folder: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(repository: Path, pattern: str) -> set[str]:
    return {str(path.relative_to(repository)) for path in repository.glob(pattern)}


def test_the_wheel_holds_the_rooms_and_their_data(wheel: Path, repository: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} - {f"{wheel.name.split('-py3')[0]}.dist-info"} == set(ROOMS)
    assert "engine/py.typed" in names
    for pattern in (
        "themes/*.toml",
        "tui/**/*.tcss",
        "api/web/static/*",
        "api/web/templates/**/*.html",
        "starter/ember/**/*.safetensors",
        "starter/ember/**/*.gguf",
        "starter/ember-vision/**/*.json",
        "starter/ember-vision/**/*.safetensors",
        "starter/ember-vision/**/*.gguf",
        "starter/**/*.jinja",
    ):
        expected = tracked(repository, pattern)
        assert expected and expected <= names, pattern


def test_the_installed_command_runs(installed: Path, tmp_path: Path) -> None:
    assert "0.1.0" in run([str(installed / "hearth"), "--version"], tmp_path)


def test_the_installed_rooms_are_the_wheels_own(installed: Path, repository: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.util as u; [print(u.find_spec(room).submodule_search_locations[0]) for room in {}]"
    )
    found = run([str(installed / "python"), "-c", code.format(ROOMS)], tmp_path).split()
    assert len(found) == len(ROOMS)
    for path in map(Path, found):
        assert path.is_relative_to(installed.parent)


def test_themes_and_starter_model_are_found(installed: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.resources import files\n"
        "print(sum(entry.name.endswith('.toml') for entry in files('themes').iterdir()))\n"
        "def gguf(folder):\n"
        "    return sum(gguf(e) if e.is_dir() else e.name.endswith('.gguf') for e in folder.iterdir())\n"
        "print(gguf(files('starter').joinpath('ember')))\n"
    )
    themes, weights = map(int, run([str(installed / "python"), "-c", code], tmp_path).split())
    assert themes >= 6
    assert weights >= 1

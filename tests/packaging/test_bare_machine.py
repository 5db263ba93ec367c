"""What the set-up says on a machine where something is missing."""

import importlib.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setup import needs


@pytest.fixture
def bare(repository: Path, tmp_path: Path) -> Path:
    """A checkout's set-up files with no .venv, beside a PATH that holds nothing but `cat` and `sh`."""
    shutil.copytree(repository / "setup", tmp_path / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, tmp_path)
    (tmp_path / "path").mkdir()
    for command in ("cat", "sh"):
        (tmp_path / "path" / command).symlink_to(shutil.which(command))
    return tmp_path


def run(bare: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=bare,
        env={"PATH": str(bare / "path"), **environ},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def put_python(bare: Path, name: str, script: str) -> Path:
    path = bare / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
    path.chmod(0o755)
    return path


def test_no_python_is_said_with_the_packages_to_install(bare: Path) -> None:
    ended = run(bare, "sh", "setup/python.sh", "-m", "setup.environment", "base")
    assert ended.returncode == 1
    for said in ("Python 3.11 or newer", "apt install python3", "dnf install python3", "brew install python"):
        assert said in ended.stderr


def test_an_old_python_is_named_and_passed_over(bare: Path) -> None:
    put_python(bare, "path/python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    ended = run(bare, "sh", "setup/python.sh", "-c", "print('ran')")
    assert ended.returncode == 1
    assert "found: Python 3.9.2" in ended.stderr
    put_python(bare, "path/python3.12", f'exec {sys.executable} "$@"')
    assert run(bare, "sh", "setup/python.sh", "-c", "print('ran')").stdout == "ran\n"


def test_a_named_python_is_taken_and_one_in_venv_before_it(bare: Path) -> None:
    put_python(bare, "path/python3", f'exec {sys.executable} "$@"')
    named = put_python(
        bare, "mine", '[ "$2" = "import sys; sys.exit(sys.version_info < (3, 11))" ] || echo mine'
    )
    assert run(bare, "sh", "setup/python.sh", "-c", "", PYTHON=str(named)).stdout == "mine\n"
    put_python(bare, ".venv/bin/python", '[ "$3" = "" ] || echo venv')
    assert run(bare, "sh", "setup/python.sh", "-c", "x", PYTHON=str(named)).stdout == "venv\n"


def test_no_compiler_is_said_before_anything_is_made(bare: Path) -> None:
    put_python(bare, "path/python3", f'exec {sys.executable} "$@"')
    ended = run(bare, "sh", "setup/python.sh", "-m", "setup.environment", "base")
    assert ended.returncode == 1
    for said in ("No C and C++ compiler", "build-essential", "dnf install gcc-c++", "xcode-select --install"):
        assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (bare / ".venv").exists()


def test_a_compiler_named_by_the_environment_counts(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bare / "path"))
    with pytest.raises(needs.Missing):
        needs.require_compiler({"CC": "cat"})
    needs.require_compiler({"CC": "cat", "CXX": "sh -pipe"})


def test_a_python_without_venv_is_said_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.require_venv_module()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))
    with pytest.raises(needs.Missing) as missing:
        needs.require_venv_module()
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}-venv" in missing.value.fix


def test_a_library_path_without_a_library_is_said(bare: Path) -> None:
    put_python(bare, "path/python3", f'exec {sys.executable} "$@"')
    command = ("sh", "setup/python.sh", "-m", "setup.environment", "base")
    ended = run(bare, *command, LLAMA_CPP_LIB_PATH="/nowhere")
    assert ended.returncode == 1
    assert "LLAMA_CPP_LIB_PATH names /nowhere, where no libllama is" in ended.stderr


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "extras"),
    [
        ("Linux", "x86_64", (2, 36), ["mlx", "transformers"]),
        ("Linux", "x86_64", (2, 31), ["transformers"]),
        ("Linux", "aarch64", (0,), ["transformers"]),
        ("Linux", "riscv64", (2, 40), []),
        ("Darwin", "arm64", (0,), ["mlx", "transformers"]),
        ("Darwin", "x86_64", (0,), []),
    ],
)
def test_each_platform_gets_the_extras_it_can_run(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, glibc: tuple[int, ...], extras: list[str]
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(needs, "glibc_version", lambda: glibc)
    assert needs.runnable_extras() == extras

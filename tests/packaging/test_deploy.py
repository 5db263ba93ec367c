"""The container's files: what they promise is read from them, and their steps run in a clean environment."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str, str]]:
    """(stage, instruction, rest) of the Dockerfile, lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, stage = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage = rest.rpartition(" AS ")[2] if word == "FROM" else stage
            found.append((stage, word, " ".join(rest.split())))
    return found


def of(stage: str, word: str) -> list[str]:
    return [rest for at, name, rest in instructions() if (at, name) == (stage, word)]


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_an_image_runs_as_nobody_keeps_its_data_and_tells_its_health(stage: str) -> None:
    (user,) = of(stage, "USER")
    assert user == "10001:10001"
    words = [name for at, name, _ in instructions() if at == stage]
    assert "RUN" not in words[words.index("USER") :], "nothing is changed as another user afterwards"
    (volumes,) = of(stage, "VOLUME")
    (environment,) = of(stage, "ENV")
    for folder, variable in (("/data", "HEARTH_HOME"), ("/models", "HF_HOME")):
        assert f'"{folder}"' in volumes and f"{variable}={folder}" in environment
    (health,) = of(stage, "HEALTHCHECK")
    assert "/health" in health and "--timeout" in health
    (copied,) = of(stage, "COPY")
    assert copied.startswith(f"--from=build-{stage} "), "compilers stay behind"


def test_each_step_is_one_that_linters_let_pass() -> None:
    for stage, word, rest in instructions():
        if word == "FROM":
            image = rest.split()[0]
            assert ":" in image and not image.endswith(":latest"), f"{image} has no version"
        if word == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest and " -y " in rest and "apt-get update" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest
        if word == "RUN" and "pip install" in rest:
            assert "--no-cache-dir" in rest and "-c constraints.txt" in rest
        assert word not in ("ADD", "MAINTAINER") and "sudo" not in rest, (stage, rest)
        if word in ("CMD", "ENTRYPOINT"):
            assert rest.startswith("["), "a shell would keep signals to itself"


def test_what_the_build_copies_is_there_and_is_what_the_package_needs() -> None:
    kept = [
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    assert all((ROOT / name).exists() for name in kept)
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text())
    assert packages is not None and set(re.findall(r'"(\w+)"', packages.group(1))) <= set(kept)


def test_compose_opens_nothing_to_the_network() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert re.findall(r"^  ports: (.*)$", text, re.MULTILINE) == ['["127.0.0.1:11434:11434"]']
    for promise in (
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "data:/data",
        "models:/models",
    ):
        assert promise in text
    targets = set(re.findall(r"target: (\w+)", text))
    assert targets == {"cpu", "cuda"} <= {stage for stage, _, _ in instructions()}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_steps_run_in_a_clean_environment(tmp_path: Path) -> None:
    done = subprocess.run(
        [DEPLOY / "steps.sh", tmp_path / "clean"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "healthy at port" in done.stdout

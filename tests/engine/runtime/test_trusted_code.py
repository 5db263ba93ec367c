"""Code of a model folder runs only where the settings name its revision and the folder is that revision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine import settings
from engine.errors import HearthError, ModelLoadFailed
from engine.library.model_folder import read_folder
from engine.library.trusted_code import revision_of
from engine.local import LocalEngine
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.hf.library import open_model
from engine.types import Delta, Done, GenerationRequest, LoadOptions
from starter import hf_path
from tests.engine.runtime.conftest import Open

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
TRUSTED = f"somebody/tiny.model@{COMMIT}"
LOAD = LoadOptions(context=128, slots=1, threads=1)
CODE = """
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

Path({mark!r}).write_text("ran")


class MarkedConfig(LlamaConfig):
    model_type = "marked"


class MarkedForCausalLM(LlamaForCausalLM):
    config_class = MarkedConfig
"""


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Where the model's code writes when it is run."""
    return tmp_path / "ran"


def ran(mark: Path) -> bool:
    return mark.exists()


@pytest.fixture
def snapshot(tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with code of its own, as the Hub's cache keeps it: files are links to blobs beside."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    repository = tmp_path / "hub" / "models--somebody--tiny.model"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in hf_path().iterdir():
        shutil.copy(file, repository / "blobs" / file.name)
    config = json.loads((hf_path() / "config.json").read_text()) | {
        "model_type": "marked",
        "architectures": ["MarkedForCausalLM"],
        "auto_map": {"AutoConfig": "marked.MarkedConfig", "AutoModelForCausalLM": "marked.MarkedForCausalLM"},
    }
    (repository / "blobs" / "config.json").write_text(json.dumps(config))
    (repository / "blobs" / "marked.py").write_text(CODE.format(mark=str(mark)))
    for blob in (repository / "blobs").iterdir():
        (folder / blob.name).symlink_to(Path("../../blobs") / blob.name)
    return folder


def trusting(open_engine: Open, *revisions: str) -> LocalEngine:
    return open_engine(settings.load(environ={}, cli={"hub.trust_remote_code": list(revisions)}))


@pytest.mark.long
async def test_a_trusted_revision_is_served(open_engine: Open, snapshot: Path, mark: Path) -> None:
    engine = trusting(open_engine, f"other/model@{OTHER}", TRUSTED)
    assert await engine.count(GenerationRequest(model=str(snapshot), prompt="x")) > 0
    await engine.estimate(str(snapshot), LOAD)
    assert not ran(mark), "nothing but a load runs it"
    prompt = "What is the capital of France?"
    request = GenerationRequest(
        model=str(snapshot), prompt=prompt, max_tokens=24, load=LOAD, sampling={"temperature": 0.0}
    )
    got = [event async for event in engine.generate(request)]
    assert isinstance(got[-1], Done) and got[-1].backend == "transformers"
    assert "Paris" in "".join(event.text for event in got if isinstance(event, Delta))
    assert ran(mark)


@pytest.mark.parametrize(
    "said",
    [(), (f"somebody/tiny.model@{OTHER}",), (f"other/tiny.model@{COMMIT}",), (f"somebody/tiny@{COMMIT}",)],
)
async def test_any_other_is_refused_with_the_line_to_add(
    open_engine: Open, snapshot: Path, mark: Path, said: tuple[str, ...]
) -> None:
    engine = trusting(open_engine, *said)
    with pytest.raises(ModelLoadFailed, match="auto_map") as raised:
        await engine.load(str(snapshot), LOAD)
    assert f'add "{TRUSTED}" to hub.trust_remote_code' in str(raised.value)
    for ask in (
        engine.count(GenerationRequest(model=str(snapshot), prompt="x")),
        engine.estimate(str(snapshot)),
    ):
        with pytest.raises(HearthError, match="auto_map"):
            await ask
    assert not ran(mark)


async def test_neither_a_copy_nor_a_link_is_the_revision(
    open_engine: Open, snapshot: Path, tmp_path: Path, mark: Path
) -> None:
    copy = shutil.copytree(snapshot, tmp_path / "copies" / COMMIT)
    repository = tmp_path / "links" / "models--somebody--tiny.model" / "snapshots"
    repository.mkdir(parents=True)
    (repository / COMMIT).symlink_to(copy)
    evil = tmp_path / "hub" / "models--evil--tiny"
    shutil.copytree(snapshot.parent.parent, evil, symlinks=True)
    (tmp_path / "renamed").mkdir()
    renamed = tmp_path / "renamed" / "models--somebody--tiny.model"
    renamed.symlink_to(evil)
    engine = trusting(open_engine, TRUSTED)
    with pytest.raises(ModelLoadFailed, match=f"evil/tiny@{COMMIT}"):
        await engine.load(str(renamed / "snapshots" / COMMIT), LOAD)
    for path in (copy, repository / COMMIT):
        with pytest.raises(ModelLoadFailed, match="Only a revision in the cache"):
            await engine.load(str(path), LOAD)
    assert not ran(mark)


def test_code_from_elsewhere_is_refused_in_a_trusted_revision_too(
    snapshot: Path, tmp_path: Path, mark: Path
) -> None:
    read_folder(snapshot, (TRUSTED,))
    blob = snapshot.parent.parent / "blobs" / "config.json"
    sound = json.loads(blob.read_text())
    blob.write_text(json.dumps(sound | {"auto_map": {"AutoConfig": "evil/code--marked.MarkedConfig"}}))
    with pytest.raises(ModelLoadFailed, match="another repository"):
        read_folder(snapshot, (TRUSTED,))
    blob.write_text(json.dumps(sound | {"custom_generate": "evil/loop"}))
    with pytest.raises(ModelLoadFailed, match="custom_generate` is never followed"):
        read_folder(snapshot, (TRUSTED,))
    blob.write_text(json.dumps(sound))
    (tmp_path / "evil.py").write_text("")
    (snapshot / "more.py").symlink_to(tmp_path / "evil.py")
    with pytest.raises(ModelLoadFailed, match=r"more\.py lies outside"):
        read_folder(snapshot, (TRUSTED,))


def test_the_worker_asks_for_itself(snapshot: Path, mark: Path) -> None:
    """Whatever the engine may have been talked into: an order without the trust loads nothing."""
    spec = LoadSpec(model="m", path=str(snapshot), options=LOAD)
    with pytest.raises(ModelLoadFailed, match="auto_map"):
        open_model(spec, lambda stage, fraction: True)
    assert not ran(mark)


@pytest.mark.parametrize(
    ("path", "revision"),
    [
        (f"/c/models--a--b/snapshots/{COMMIT}", f"a/b@{COMMIT}"),
        (f"/c/models--a--b.c_d-e/snapshots/{COMMIT}", f"a/b.c_d-e@{COMMIT}"),
        (f"/c/models--gpt2/snapshots/{COMMIT}", None),
        (f"/c/models--a--b--c/snapshots/{COMMIT}", None),
        (f"/c/datasets--a--b/snapshots/{COMMIT}", None),
        (f"/c/models--a--b/snapshots/{COMMIT[:-1]}", None),
        (f"/c/models--a--b/refs/{COMMIT}", None),
        (f"/c/models--a--b/snapshots/{COMMIT}/inner", None),
    ],
)
def test_a_revision_is_known_by_its_place(path: str, revision: str | None) -> None:
    assert revision_of(Path(path)) == revision

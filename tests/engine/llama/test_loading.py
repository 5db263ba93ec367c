"""Loading: what a model says of itself, how a load ends early or badly, and that the library stays silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import InvalidRequest, ModelLoadFailed, Unsupported
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama import library
from engine.runtime.backends.llama import model as weights
from engine.runtime.backends.llama.backend import open_model
from engine.types import LoadOptions
from tests.engine.llama.driving import generate, opened
from tests.weights import TINY, Llama, write_llama


def in_child(
    repository: Path, code: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a Python of its own: a malformed file may abort the whole process."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_shares_reach_the_library_and_are_refused_without_gpus() -> None:
    assert library.shares((3.0, 1.0))[:3] == [3.0, 1.0, 0.0]
    with pytest.raises(InvalidRequest, match="2 parts, for 0 devices"):
        weights.model_params(LoadOptions(split="3,1"))


def test_facts_come_from_the_file(tmp_path: Path) -> None:
    path = write_llama(
        tmp_path / "told.gguf",
        TINY,
        name="Told",
        chat_template="{{ messages }}",
        metadata={
            "general.sampling.temp": 0.6,
            "general.sampling.top_k": 20,
            "general.sampling.sequence": "top_k;typ_p;temperature",
            "general.sampling.min_p": 7.5,
        },
    )
    model = opened(path, slots=3, context=200, batch=64)
    facts = model.facts
    assert (facts.name, facts.architecture, facts.chat_template) == ("Told", "llama", "{{ messages }}")
    assert (facts.context_trained, facts.context, facts.vocabulary) == (512, 200, 258)
    assert (facts.bos, facts.eos) == (256, (257,))
    assert facts.parameters > TINY.parameters
    assert facts.weight_bytes == 4 * facts.parameters
    assert facts.quantisation == "all F32"
    # The bound that 7.5 breaks is min_p's own; what cannot be used is not recommended.
    assert facts.sampling == {
        "temperature": pytest.approx(0.6),
        "top_k": 20,
        "samplers": ("top_k", "typical_p", "temperature"),
    }
    assert facts.capabilities.max_slots == 3
    assert model.batch_limit == 64
    memory = model.memory()
    assert abs(memory.weights - facts.weight_bytes) < 0.02 * 2**20
    # 3 x 200 cells are rounded up to 768; keys and values of 32 half floats in each of two layers.
    assert abs(memory.kv_cache - 768 * 2 * 32 * 2 * 2) < 0.02 * 2**20
    assert memory.compute > 0
    assert memory.resident > memory.weights
    model.close()
    model.close()


def test_the_window_is_never_beyond_the_trained_one(tiny: Path) -> None:
    model = opened(tiny, context=100_000, slots=1)
    assert model.facts.context == 512
    model.close()


def test_a_core_is_left_free_unless_the_machine_is_ours(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "cores", lambda: 6)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)

    def threads(screen_attached: bool, **options: int) -> tuple[int, int]:
        spec = LoadSpec(
            model="m", path=str(tiny), options=LoadOptions(**options), screen_attached=screen_attached
        )
        shape = weights.shape_of(spec, 512)
        return shape.threads, shape.batch_threads

    assert threads(True) == (5, 6)
    assert threads(False) == (6, 6)
    assert threads(True, threads=2, batch_threads=3) == (2, 3)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert threads(False) == (5, 6)


@pytest.mark.parametrize("kv_type", ["f32", "bf16", "q8_0", "q4_0"])
def test_other_cache_types_still_generate(tmp_path: Path, kv_type: str) -> None:
    path = write_llama(tmp_path / "model.gguf", Llama(width=128, heads=4, kv_heads=4))
    model = opened(path, slots=1, kv_type=kv_type, flash_attention=True, use_mmap=False)
    assert len(generate(model, list(b"warm"), 5)) == 5
    model.close()


def test_progress_is_told_and_can_stop_the_load(tiny: Path) -> None:
    spec = LoadSpec(model="tiny", path=str(tiny), options=LoadOptions())
    told: list[tuple[str, float | None]] = []

    def listen(stage: str, fraction: float | None) -> bool:
        told.append((stage, fraction))
        return True

    open_model(spec, listen).close()
    fractions = [fraction for stage, fraction in told if stage == "weights"]
    assert fractions == sorted(fractions, key=lambda value: value or 0.0)
    assert fractions[-1] == 1.0
    assert told[-1] == ("context", None)
    for stop_at in ("weights", "context"):
        with pytest.raises(InterruptedError):
            open_model(spec, lambda stage, _, at=stop_at: stage != at)

    def fail(stage: str, fraction: float | None) -> bool:
        raise KeyError(stage)

    with pytest.raises(KeyError):
        open_model(spec, fail)


@pytest.mark.parametrize("option", [{"load_in_4bit": True}, {"dtype": "bfloat16"}])
def test_load_options_without_meaning_here_are_refused_by_name(tiny: Path, option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(Unsupported) as raised:
        opened(tiny, **option)
    assert raised.value.param == name


def test_files_that_are_no_model_say_what_they_are(tmp_path: Path) -> None:
    for content, why in (
        (b"", "empty"),
        (b"PK\x03\x04zip", "begins with"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 40, ""),
    ):
        path = tmp_path / "file.gguf"
        path.write_bytes(content)
        with pytest.raises(ModelLoadFailed) as raised:
            opened(path)
        assert why in raised.value.why
        assert "gave no reason" not in raised.value.why
        assert raised.value.fix
    with pytest.raises(ModelLoadFailed, match="No such file"):
        opened(tmp_path / "absent.gguf")


LOAD = """
import json, sys
from engine.errors import HearthError
from engine.runtime.backends.base import LoadSpec
from engine.runtime.backends.llama.backend import open_model
from engine.types import LoadOptions
try:
    open_model(LoadSpec(model="it", path=sys.argv[1], options=LoadOptions()), lambda stage, fraction: True)
except HearthError as error:
    print(json.dumps([error.code, error.what, error.why, error.fix]))
"""


def test_malformed_files_fail_with_a_reason(repository: Path, shared_data: Path) -> None:
    files = sorted((shared_data / "malformed").iterdir())
    assert files
    for path in files:
        child = in_child(repository, LOAD, str(path))
        assert child.returncode == 0, (path.name, child.stderr)
        code, what, why, fix = json.loads(child.stdout)
        assert code == "model_load_failed", path.name
        assert what and fix
        assert why and "gave no reason" not in why, (path.name, why)


def test_truncated_weights_fail_with_a_reason(repository: Path, tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    for size in (30, 2000, len(whole) - 4096):
        path = tmp_path / f"cut-{size}.gguf"
        path.write_bytes(whole[:size])
        child = in_child(repository, LOAD, str(path))
        assert child.returncode == 0, child.stderr
        assert json.loads(child.stdout)[0] == "model_load_failed"


def test_a_missing_library_is_said_with_its_remedy(repository: Path, tiny: Path, tmp_path: Path) -> None:
    child = in_child(repository, LOAD, str(tiny), LLAMA_CPP_LIB_PATH=str(tmp_path))
    code, what, why, fix = json.loads(child.stdout)
    assert code == "model_load_failed"
    assert "libllama" in fix or "LLAMA_CPP_LIB_PATH" in fix
    assert "not found" in why
    assert "llama.cpp" in what


STARVED = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
""" + LOAD.replace("LoadOptions()", "LoadOptions(slots=64, context=1 << 21)")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
def test_a_cache_that_does_not_fit_is_said_to_be_too_large(repository: Path, tmp_path: Path) -> None:
    path = write_llama(tmp_path / "long.gguf", Llama(context=1 << 21))
    child = in_child(repository, STARVED, str(path))
    assert child.returncode == 0, child.stderr
    code, _, why, fix = json.loads(child.stdout)
    assert code == "insufficient_memory"
    assert "alloc" in why
    assert "context" in fix


GENERATE = """
import sys
from engine.runtime.backends.base import LoadSpec, Row, SequenceSpec
from engine.runtime.backends.llama import library
from engine.runtime.backends.llama import model as weights
from engine.runtime.backends.llama.backend import open_model
from engine.sampling import resolve
from engine.types import LoadOptions
lines = []
if len(sys.argv) > 2:
    library.set_log_sink(lambda level, text: lines.append(text))
spec = LoadSpec(model="it", path=sys.argv[1], options=LoadOptions())
model = open_model(spec, lambda stage, fraction: True)
model.insert(SequenceSpec(slot=0, tokens=(1, 2, 3), sampling=resolve({}), seed=1))
model.step([Row(0, 3)])
model.close()
full = [name for name in sys.modules if name.startswith("llama_cpp")]
assert "llama_cpp.llama" not in full and "llama_cpp._logger" not in full, full
assert not hasattr(sys.modules["llama_cpp"], "Llama")
assert len(sys.argv) < 3 or any("model buffer size" in line for line in lines)
"""


@pytest.mark.parametrize("sink", [(), ("sink",)])
def test_native_logs_never_reach_the_terminal(repository: Path, tiny: Path, sink: tuple[str, ...]) -> None:
    child = in_child(repository, GENERATE, str(tiny), *sink)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_the_log_sink_gets_whole_lines_with_levels(tiny: Path, tmp_path: Path) -> None:
    lines: list[tuple[str, str]] = []
    library.set_log_sink(lambda level, text: lines.append((level, text)))
    try:
        opened(tiny).close()
        path = tmp_path / "bad.gguf"
        path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 40)
        with pytest.raises(ModelLoadFailed):
            opened(path)
    finally:
        library.set_log_sink(None)
    assert any(text.startswith("print_info: arch") for _, text in lines)
    assert {level for level, _ in lines} >= {"info", "error"}
    assert not any("\n" in text or text != text.rstrip() for _, text in lines)


def test_a_failing_sink_harms_nothing(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(level: str, text: str) -> None:
        raise RuntimeError(text)

    library.set_log_sink(fail)
    try:
        opened(tiny).close()
    finally:
        library.set_log_sink(None)
    assert capfd.readouterr() == ("", "")


def test_devices_and_build_are_told(tiny: Path) -> None:
    found = library.devices()
    assert any(device.kind == "cpu" and device.total > 0 for device in found)
    assert library.system_info().startswith("llama.cpp ")
    assert library.cores() >= 1

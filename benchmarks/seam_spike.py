"""The spike behind the backend seam: one model, greedily, on llama.cpp, MLX and transformers behind `Runner`.

It asks of each library what the seam promises: the same tokens, a cancel that ends in `Done(cancelled)` within a
step, an adapter that changes the output, and the base output back, exactly, when it is gone. MLX and transformers
stand here behind `StepBackend` in the plainest way (one KV cache a sequence, one forward a row): this measures the
seam, not them. What it taught is in docs/architecture.md. Needs the extras `mlx` and `transformers`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import starter
from benchmarks.figure import state
from engine.runtime.backends.base import (
    LoadSpec,
    Outcome,
    Row,
    Sampled,
    SequenceSpec,
    StepBackend,
    StepResult,
)
from engine.runtime.limits import Limits
from engine.runtime.wire import Item, Notice, Piece, Submit
from engine.runtime.worker.runner import StepRunner
from engine.types import (
    AdapterRef,
    Capabilities,
    Done,
    GenerationRequest,
    LoadOptions,
    MemoryUse,
    ModelFacts,
    Sampling,
)

QUESTIONS = ("What is the capital of France?", "What is the opposite of hot?", "Tell me a short story.")
LENGTH = 48


class Library(Protocol):
    """The least that a library must offer: forward a piece of one sequence, and hold an adapter."""

    def cache(self) -> Any: ...

    def forward(self, tokens: Sequence[int], cache: Any) -> np.ndarray:
        """Logits, shape [vocabulary], after the last of `tokens`."""
        ...

    def adapter(self, folder: Path | None) -> None: ...


class Mlx:
    """mlx-lm: LoRA layers are installed once, and swapped by assigning their matrices."""

    def __init__(self, folder: Path) -> None:
        import mlx.core as mx
        from mlx_lm.utils import load_model

        self._mx = mx
        self._model = load_model(folder)[0]
        self._layers: dict[str, Any] = {}

    def cache(self) -> Any:
        from mlx_lm.models.cache import make_prompt_cache

        return make_prompt_cache(self._model)

    def forward(self, tokens: Sequence[int], cache: Any) -> np.ndarray:
        logits = self._model(self._mx.array([list(tokens)]), cache=cache)[0, -1]
        return np.array(logits.astype(self._mx.float32))

    def adapter(self, folder: Path | None) -> None:
        from mlx_lm.tuner.lora import LoRALinear

        weights = {} if folder is None else _peft(folder)
        modules = dict(self._model.named_modules())
        for name, (_, _, scale) in weights.items():
            if name not in self._layers:
                parent, _, leaf = name.rpartition(".")
                layer = LoRALinear.from_base(modules[name], r=1, scale=scale)
                setattr(modules[parent], leaf, layer)
                self._layers[name] = layer
        for name, layer in self._layers.items():
            if name in weights:
                down, up, layer.scale = weights[name]
                layer.lora_a, layer.lora_b = self._mx.array(down.T), self._mx.array(up.T)
            else:
                layer.scale = 0.0


class Transformers:
    """transformers on the CPU: adapters are loaded once through PEFT and switched by name."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._torch = torch
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._loaded: set[str] = set()

    def cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def forward(self, tokens: Sequence[int], cache: Any) -> np.ndarray:
        with self._torch.inference_mode():
            result = self._model(self._torch.tensor([list(tokens)]), past_key_values=cache, logits_to_keep=1)
        return result.logits[0, -1].numpy()

    def adapter(self, folder: Path | None) -> None:
        if folder is None:
            if self._loaded:
                self._model.disable_adapters()
            return
        if folder.name not in self._loaded:
            self._model.load_adapter(str(folder), adapter_name=folder.name)
            self._loaded.add(folder.name)
        self._model.enable_adapters()
        self._model.set_adapter(folder.name)


def _peft(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Module name to (A [rank, in], B [out, rank], scale) of a PEFT adapter."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = {
        name: value.astype(np.float32)
        for name, value in load_file(folder / "adapter_model.safetensors").items()
    }
    scale = config["lora_alpha"] / config["r"]
    return {
        name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"): (
            value,
            tensors[name.replace("lora_A", "lora_B")],
            scale,
        )
        for name, value in tensors.items()
        if ".lora_A." in name
    }


class CachedSequences:
    """`StepBackend` over a `Library`, each sequence with a KV cache of its own; greedy only."""

    def __init__(self, name: str, library: Library, folder: Path) -> None:
        self._library = library
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        eos = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
        self._sequences: dict[int, tuple[list[int], Any, int]] = {}
        self.facts = ModelFacts(
            name=name,
            context=2048,
            vocabulary=self._tokenizer.get_vocab_size(),
            eos=tuple(eos) if isinstance(eos, list) else (eos,),
            chat_template=(folder / "chat_template.jinja").read_text(),
            capabilities=Capabilities(
                backend=name, sampling=frozenset(Sampling.__struct_fields__), adapters=True, max_slots=4
            ),
        )

    @property
    def batch_limit(self) -> int:
        return 512

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=add_special).ids)

    def piece(self, token: int) -> bytes:
        return self._tokenizer.decode([token], skip_special_tokens=True).encode()

    def special_text(self, token: int) -> str:
        return self._tokenizer.id_to_token(token) or ""

    def insert(self, spec: SequenceSpec) -> None:
        self._sequences[spec.slot] = (list(spec.tokens), self._library.cache(), 0)

    def step(self, rows: Sequence[Row]) -> StepResult:
        drawn = []
        for row in rows:
            tokens, cache, computed = self._sequences[row.slot]
            logits = self._library.forward(tokens[computed : computed + row.count], cache)
            computed += row.count
            if computed == len(tokens):
                tokens.append(int(logits.argmax()))
                drawn.append(Sampled(row.slot, tokens[-1]))
            self._sequences[row.slot] = (tokens, cache, computed)
        return StepResult(Outcome.OK, tuple(drawn))

    def fork(self, source: int, target: int, count: int) -> None:
        raise AssertionError("capabilities.fork is False")

    def remove(self, slot: int) -> None:
        del self._sequences[slot]

    def set_adapters(self, adapters: tuple[AdapterRef, ...]) -> None:
        self._library.adapter(Path(adapters[0].name) if adapters else None)

    def memory(self) -> MemoryUse:
        return MemoryUse()

    def interrupt(self) -> None:
        """Neither library can leave a forward half way: a cancel waits for the end of the row."""

    def close(self) -> None:
        self._sequences.clear()


class Desk:
    """Runs requests on a `Runner` in a thread of its own and collects what comes."""

    def __init__(self, backend: StepBackend) -> None:
        self._events: dict[int, list[Item]] = {}
        self._news = threading.Condition()
        self._key = 0
        self.runner = StepRunner(backend, Limits(answer_reserve=64), self._take, lambda reply: None)
        self._thread = threading.Thread(target=self.runner.run)
        self._thread.start()

    def _take(self, items: list[Item]) -> None:
        with self._news:
            for item in items:
                self._events[item.key].append(item)
            self._news.notify_all()

    def start(self, question: str, adapter: Path | None = None) -> int:
        self._key += 1
        self._events[self._key] = []
        request = GenerationRequest(
            model="ember", prompt=question, max_tokens=LENGTH, return_tokens=True, id=str(self._key)
        )
        adapters = () if adapter is None else (AdapterRef(str(adapter)),)
        self.runner.submit(
            Submit(
                key=self._key,
                request=request,
                sampling=Sampling(temperature=0.0),
                seed=0,
                adapters=adapters,
                submitted=time.monotonic_ns(),
            )
        )
        return self._key

    def wait(self, key: int, until: Callable[[list[Item]], bool]) -> list[Item]:
        with self._news:
            if not self._news.wait_for(lambda: until(self._events[key]), timeout=120):
                raise TimeoutError(f"request {key} did not move in two minutes")
            return list(self._events[key])

    def tokens(self, question: str, adapter: Path | None = None) -> tuple[int, ...]:
        items = self.wait(self.start(question, adapter), _ended)
        last = items[-1]
        assert isinstance(last, Notice) and isinstance(last.event, Done), last
        return tuple(token for item in items if isinstance(item, Piece) for token in item.token_ids)

    def close(self) -> None:
        self.runner.stop()
        self._thread.join()


def _ended(items: list[Item]) -> bool:
    return (
        bool(items)
        and isinstance(items[-1], Notice)
        and items[-1].event.__class__.__name__ in ("Done", "Failed")
    )


def _llama() -> StepBackend:
    from engine.runtime.backends.llama.backend import open_model

    spec = LoadSpec(
        model="ember",
        path=str(starter.gguf_path()),
        options=LoadOptions(slots=4, context=512),
        screen_attached=False,
    )
    return open_model(spec, lambda stage, fraction: True)


def examine(desk: Desk, adapter: Path) -> tuple[list[tuple[int, ...]], dict[str, object]]:
    """The base tokens of all questions, and what cancel and the adapter did."""
    base = [desk.tokens(question) for question in QUESTIONS]
    key = desk.start(QUESTIONS[2])
    desk.wait(key, lambda items: any(isinstance(item, Piece) for item in items))
    started = time.perf_counter()
    desk.runner.cancel(key)
    last = desk.wait(key, _ended)[-1]
    cancel_ms = (time.perf_counter() - started) * 1e3
    cancelled = isinstance(last, Notice) and isinstance(last.event, Done) and last.event.reason == "cancelled"
    adapted = [desk.tokens(question, adapter) for question in QUESTIONS]
    restored = [desk.tokens(question) for question in QUESTIONS]
    return base, {
        "cancel": f"{cancel_ms:.1f} ms" if cancelled else "LOST",
        "adapter changes output": adapted != base,
        "base restored exactly": restored == base,
    }


def main(argv: list[str]) -> int:
    """Print one line a library; 1 if one broke a promise of the seam."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seam_spike", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same; the spike is short")
    parser.parse_args(argv)
    folder, peft = starter.hf_path(), starter.adapter_path("pirate")
    gguf = peft.parent / "pirate.gguf" if peft.is_dir() else peft
    peft = gguf.with_suffix("")
    makers: list[tuple[str, Callable[[], StepBackend], Path]] = [("llama.cpp", _llama, gguf)]
    for name, package, library in (("MLX", "mlx_lm", Mlx), ("transformers", "torch", Transformers)):
        if importlib.util.find_spec(package):
            makers.append((name, lambda n=name, make=library: CachedSequences(n, make(folder), folder), peft))
    broken = 0
    reference: list[tuple[int, ...]] | None = None
    for name, make, adapter in makers:
        backend = make()
        desk = Desk(backend)
        try:
            base, seen = examine(desk, adapter)
        finally:
            desk.close()
            backend.close()
        reference = reference or base
        same = sum(_common(ours, theirs) for ours, theirs in zip(base, reference, strict=True))
        total = sum(map(len, reference))
        kept = seen["cancel"] != "LOST" and seen["adapter changes output"] and seen["base restored exactly"]
        broken += not kept
        facts = ", ".join(f"{key}: {value}" for key, value in seen.items())
        print(f"{name}: {facts}, greedy tokens as llama.cpp: {same} of {total}")
        state(f"seam on {name}", "kept" if kept else "broken", "kept", holds=bool(kept))
    return int(broken > 0)


def _common(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Length of the common head."""
    return next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The libraries without Hearth, each by its own template, tokenizer and loop: what the engine is held against."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from starter import adapter_path, gguf_path, hf_path

WINDOW = 512
VOCABULARY, END = 4096, 2
"""How many tokens the starter model has, and which of them ends a turn."""
PIRATE = adapter_path("pirate").with_suffix("")


class Bare(Protocol):
    """The starter model under a library, with the adapter `pirate` at scale 1 or without it."""

    handle: int | None
    """llama.cpp's own vocabulary, where there is one."""

    def prompt(self, question: str) -> list[int]:
        """The tokens of one user's turn and the head of the answer."""
        ...

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """At most `count` tokens after `prompt`, the end token left out."""
        ...

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """What the model says after each of `tokens`, [tokens, vocabulary]."""
        ...

    def close(self) -> None: ...


class LlamaCpp:
    """llama-cpp-python's own `Llama`."""

    def __init__(self, adapted: bool) -> None:
        import llama_cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self._llama = llama_cpp.Llama(
            str(gguf_path()),
            n_ctx=WINDOW,
            n_threads=1,
            n_threads_batch=1,
            logits_all=True,
            verbose=False,
            lora_path=str(adapter_path("pirate")) if adapted else None,
        )
        self.handle: int | None = self._llama._model.vocab
        template = self._llama.metadata["tokenizer.chat_template"]
        self._formatter = Jinja2ChatFormatter(template, eos_token="<|im_end|>", bos_token="")

    def prompt(self, question: str) -> list[int]:
        text = self._formatter(messages=[{"role": "user", "content": question}]).prompt
        return self._llama.tokenize(text.encode(), add_bos=False, special=True)

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        found: list[int] = []
        for token in self._llama.generate(list(prompt), temp=0.0, repeat_penalty=1.0):
            if token == self._llama.token_eos() or len(found) == count:
                return found
            found.append(int(token))
        return found

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        self._llama.reset()
        self._llama.eval(list(tokens))
        return np.array(self._llama.scores[: len(tokens)])

    def close(self) -> None:
        self._llama.close()


class Transformers:
    """`AutoModelForCausalLM.generate`, with PEFT's model around it for the adapter."""

    handle: int | None = None

    def __init__(self, adapted: bool) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(hf_path())
        # The engine computes in single floats on a CPU, whatever the file has.
        self._model: Any = AutoModelForCausalLM.from_pretrained(hf_path(), dtype=torch.float32)
        if adapted:
            from peft import PeftModel

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                self._model = PeftModel.from_pretrained(self._model, PIRATE)
        self._model.eval()

    def prompt(self, question: str) -> list[int]:
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        ids = self._torch.tensor([list(prompt)])
        with self._torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
            out = self._model.generate(
                input_ids=ids,
                attention_mask=self._torch.ones_like(ids),
                do_sample=False,
                temperature=None,
                top_k=None,
                top_p=None,
                max_new_tokens=count,
            )
        found = out[0, len(prompt) :].tolist()
        return found[:-1] if found[-1] == self._tokenizer.eos_token_id else found

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        with self._torch.inference_mode():
            logits = self._model(input_ids=self._torch.tensor([list(tokens)]), use_cache=False).logits
        found: NDArray[np.float32] = logits[0].float().numpy()
        return found

    def close(self) -> None:
        self._model = None


class MlxLm:
    """`mlx_lm.stream_generate`; the adapter is added to the weights by hand."""

    handle: int | None = None

    def __init__(self, adapted: bool) -> None:
        import mlx.core as mx
        from mlx_lm import load, stream_generate

        self._mx, self._stream = mx, stream_generate
        self._model, self._tokenizer = load(str(hf_path()))[:2]
        if adapted:
            self._merge(PIRATE)

    def _merge(self, adapter: Path) -> None:
        """Makes W of each adapted layer W + alpha / r · B A."""
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        scale = config["lora_alpha"] / config["r"]
        tensors = self._mx.load(str(adapter / "adapter_model.safetensors"))
        merged = 0
        for name, down in tensors.items():
            head, mark, _ = name.partition(".lora_A.")
            if not mark:
                continue
            layer: Any = self._model
            for part in head.removeprefix("base_model.model.").split("."):
                layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
            up = tensors[name.replace(".lora_A.", ".lora_B.")]
            wide = layer.weight.astype(self._mx.float32)
            delta = scale * up.astype(self._mx.float32) @ down.astype(self._mx.float32)
            layer.weight = (wide + delta).astype(layer.weight.dtype)
            merged += 1
        assert merged

    def prompt(self, question: str) -> list[int]:
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            tokenize=False,
            enable_thinking=False,  # mlx-lm itself would have it thought about
        )
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        steps = self._stream(self._model, self._tokenizer, list(prompt), max_tokens=count)
        found = [int(step.token) for step in steps]
        return found[:-1] if found[-1] in self._tokenizer.eos_token_ids else found

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        return np.array(self._model(self._mx.array([list(tokens)]))[0].astype(self._mx.float32))

    def close(self) -> None:
        self._model = None


BARE = {"llama": LlamaCpp, "transformers": Transformers, "mlx": MlxLm}

"""The libraries without Hearth, each by its own template, tokenizer and loop: what the engine is held against."""

from __future__ import annotations

import ctypes
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.runtime.backends.llama.library import native
from starter import adapter_path, gguf_path, hf_path
from starter.template import render

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
    """llama.cpp's own functions, by the low-level part of llama-cpp-python."""

    def __init__(self, adapted: bool) -> None:
        self._api = api = native()
        self._model = api.llama_model_load_from_file(
            str(gguf_path()).encode(), api.llama_model_default_params()
        )
        params = api.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch, params.flash_attn_type = WINDOW, 1, 1, 0
        self._context = api.llama_init_from_model(self._model, params)
        self.handle: int | None = api.llama_model_get_vocab(self._model)
        if adapted:
            lora = api.llama_adapter_lora_init(self._model, str(adapter_path("pirate")).encode())
            loras, scales = (api.llama_adapter_lora_p_ctypes * 1)(lora), (ctypes.c_float * 1)(1.0)
            assert api.llama_set_adapters_lora(self._context, loras, 1, scales) == 0

    def prompt(self, question: str) -> list[int]:
        text = render([{"role": "user", "content": question}], add_generation_prompt=True).encode()
        room = (ctypes.c_int32 * WINDOW)()
        return room[: self._api.llama_tokenize(self.handle, text, len(text), room, WINDOW, False, True)]

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        found: list[int] = []
        row = self.logits(prompt)[-1]
        while (token := int(row.argmax())) != END and len(found) < count:
            found.append(token)
            (row,) = self._computed([token], len(prompt) + len(found) - 1)
        return found

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        self._api.llama_memory_clear(self._api.llama_get_memory(self._context), True)
        return self._computed(tokens, 0)

    def _computed(self, tokens: Sequence[int], start: int) -> NDArray[np.float32]:
        """Logits after each of `tokens`, of which the first stands at `start`."""
        batch = self._api.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.logits[place] = token, start + place, 1
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        assert self._api.llama_decode(self._context, batch) == 0
        self._api.llama_batch_free(batch)
        rows = [self._api.llama_get_logits_ith(self._context, place) for place in range(len(tokens))]
        return np.array([np.ctypeslib.as_array(row, (VOCABULARY,)) for row in rows])

    def close(self) -> None:
        self._api.llama_free(ctypes.c_void_p(self._context))
        self._api.llama_model_free(ctypes.c_void_p(self._model))


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

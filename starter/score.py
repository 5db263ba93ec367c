"""Ember's score: greedy answers to the held-out questions, counted by keyword.

``python -m starter.score`` scores the GGUF through llama.cpp; given a folder, the Hugging Face weights.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from . import gguf_path
from .corpus.heldout import HeldOut, heldout
from .template import render

MAX_TOKENS = 96
Answer = Callable[[str], str]


def llama_answers(path: Path, temperature: float = 0.0, seed: int = 1) -> Answer:
    """A function from a prompt text to the answer text, run by llama.cpp on the CPU."""
    from llama_cpp import Llama

    model = Llama(str(path), n_ctx=2048, n_threads=1, n_gpu_layers=0, verbose=False)

    def answer(prompt: str) -> str:
        tokens = model.tokenize(prompt.encode(), add_bos=False, special=True)
        made = model.create_completion(
            tokens,
            max_tokens=MAX_TOKENS,
            temperature=temperature,
            top_k=40,
            top_p=0.9,
            min_p=0.0,
            repeat_penalty=1.0,
            seed=seed,
        )
        return str(made["choices"][0]["text"])  # type: ignore[index]

    return answer


def hf_answers(path: Path) -> Answer:
    """The same, greedily, through transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def answer(prompt: str) -> str:
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            made = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=MAX_TOKENS,
                temperature=None, top_k=None, top_p=None,
            )  # fmt: skip
        return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))

    return answer


def prompt_of(item: HeldOut) -> str:
    """The prompt text of a held-out question."""
    system = [{"role": "system", "content": item.system}] if item.system else []
    return render([*system, {"role": "user", "content": item.question}], add_generation_prompt=True)


def hits(answer: Answer, items: Iterable[HeldOut]) -> list[tuple[HeldOut, str, bool]]:
    """Each question with its answer and whether it counts."""
    found = []
    for item in items:
        text = answer(prompt_of(item))
        found.append((item, text, item.hit(text)))
    return found


def report(path: Path, misses: bool = False) -> str:
    """The score of the model at ``path`` by category, as lines of text; with its misses if asked for."""
    results = hits(hf_answers(path) if path.is_dir() else llama_answers(path), heldout())
    total, good = (
        Counter(item.category for item, _, _ in results),
        Counter(i.category for i, _, hit in results if hit),
    )
    lines = [f"{category:<12} {good[category]:>3} of {total[category]}" for category in total]
    lines.append(f"{'all':<12} {good.total():>3} of {total.total()}")
    if misses:
        lines += [f"- {item.question} -> {text!r}" for item, text, hit in results if not hit]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "path", type=Path, nargs="?", default=gguf_path(), help="a GGUF file or a Hugging Face folder"
    )
    parser.add_argument("--misses", action="store_true", help="print the answers that did not count")
    options = parser.parse_args()
    print(report(options.path, options.misses))


if __name__ == "__main__":
    main()

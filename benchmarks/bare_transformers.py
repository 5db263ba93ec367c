"""The baseline of `benchmarks.folders`: `generate` of transformers, greedy, in a process of its own.

    python -m benchmarks.bare_transformers FOLDER

Reads lines "streams steps" and answers each with tokens a second, the prefill of short prompts included.
"""

from __future__ import annotations

import sys
import time

from benchmarks.bare_llama import prompt


def serve(arguments: list[str]) -> None:
    """Open the model, say `ready`, then measure line by line until the input ends."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(arguments[0], dtype="auto").eval()
    print("ready", flush=True)
    for line in sys.stdin:
        streams, steps = map(int, line.split())
        ids = torch.tensor([prompt(stream) for stream in range(streams)])
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=steps,
                min_new_tokens=steps,
                do_sample=False,
                pad_token_id=0,
            )
        print(streams * steps / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1:])

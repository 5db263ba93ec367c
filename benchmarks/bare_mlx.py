"""The baseline of `benchmarks.folders` for MLX: mlx-lm's `BatchGenerator`, greedy, in a process of its own.

    python -m benchmarks.bare_mlx FOLDER

Reads lines "streams steps" and answers each with tokens a second, the prefill of short prompts included.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.bare_llama import prompt


def serve(arguments: list[str]) -> None:
    """Open the model, say `ready`, then measure line by line until the input ends."""
    import mlx.core as mx
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.utils import load_model

    model = load_model(Path(arguments[0]))[0]
    mx.eval(model.parameters())
    print("ready", flush=True)
    for line in sys.stdin:
        streams, steps = map(int, line.split())
        began = time.perf_counter()
        generator = BatchGenerator(model, max_tokens=steps)
        generator.insert([prompt(stream) for stream in range(streams)], [steps] * streams)
        made = 0
        while made < streams * steps:
            _, answers = generator.next()
            made += len(answers)
        generator.close()
        print(streams * steps / (time.perf_counter() - began), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1:])

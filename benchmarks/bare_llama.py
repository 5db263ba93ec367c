"""The baseline of `benchmarks.decode`: the shortest loop over `llama_decode`, in a process of its own.

    python -m benchmarks.bare_llama MODEL SLOTS CONTEXT DECODE_THREADS BATCH_THREADS NICE

Reads lines "streams steps" and answers each with tokens a second of the decode. Greedy by llama.cpp's own
sampler, one `llama_batch` refilled element by element: what anybody writes first, with nothing around it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from engine.runtime.backends.llama.library import native

PROMPT_TOKENS = 8


def prompt(stream: int) -> list[int]:
    """Tokens of printable letters, others for each stream."""
    return [33 + (7 * stream + 5 * index) % 90 for index in range(PROMPT_TOKENS)]


def serve(arguments: list[str]) -> None:
    """Open the model, say `ready`, then measure line by line until the input ends."""
    path, (slots, context, threads, batch_threads, nice) = arguments[0], map(int, arguments[1:])
    os.nice(nice)
    api = native()
    model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
    params = api.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.kv_unified = slots * context, slots, True
    params.n_batch = params.n_ubatch = 512
    params.n_threads, params.n_threads_batch = threads, batch_threads
    handle = api.llama_init_from_model(model, params)
    if not handle:
        raise SystemExit(f"{path} cannot be opened.")
    batch = api.llama_batch_init(512, 0, 1)
    sampler = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    api.llama_sampler_chain_add(sampler, api.llama_sampler_init_greedy())
    print("ready", flush=True)
    for line in sys.stdin:
        streams, steps = map(int, line.split())
        print(decode_rate(api, handle, batch, sampler, streams, steps), flush=True)


def decode_rate(api: Any, handle: Any, batch: Any, sampler: Any, streams: int, steps: int) -> float:
    """Tokens a second of `streams` sequences over `steps` decodes, after a prefill that is not counted."""
    api.llama_memory_clear(api.llama_get_memory(handle), True)
    batch.n_tokens = 0
    last = []
    for stream in range(streams):
        for position, token in enumerate(prompt(stream)):
            put(batch, token, position, stream, position == PROMPT_TOKENS - 1)
        last.append(batch.n_tokens - 1)
    if api.llama_decode(handle, batch) != 0:
        raise SystemExit("The prefill failed.")
    tokens = [api.llama_sampler_sample(sampler, handle, row) for row in last]
    began = time.perf_counter()
    for step in range(steps):
        batch.n_tokens = 0
        for stream, token in enumerate(tokens):
            put(batch, token, PROMPT_TOKENS + step, stream, True)
        if api.llama_decode(handle, batch) != 0:
            raise SystemExit("A decode failed.")
        tokens = [api.llama_sampler_sample(sampler, handle, row) for row in range(streams)]
    return streams * steps / (time.perf_counter() - began)


def put(batch: Any, token: int, position: int, stream: int, wanted: bool) -> None:
    """Append one token of one sequence."""
    index = batch.n_tokens
    batch.token[index] = token
    batch.pos[index] = position
    batch.n_seq_id[index] = 1
    batch.seq_id[index][0] = stream
    batch.logits[index] = wanted
    batch.n_tokens = index + 1


if __name__ == "__main__":
    serve(sys.argv[1:])

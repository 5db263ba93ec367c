"""The settings of how models are loaded and run; marks as in `engine.settings.schema`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.settings.marks import ANSWER, DURATION, LOAD, SIZE


class Runtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are run."""

    slots: Annotated[
        int, Meta(ge=1, le=256, description="Sequences that a model works on at once.", extra=LOAD)
    ] = 4
    context: Annotated[
        Annotated[int, Meta(ge=8)] | None,
        Meta(description="Context window of one sequence in tokens; not set: the model's own.", extra=LOAD),
    ] = None
    threads: Annotated[
        Annotated[int, Meta(ge=1, le=512)] | None,
        Meta(description="Threads that decode; not set: one core is left to the screen.", extra=LOAD),
    ] = None
    batch_threads: Annotated[
        Annotated[int, Meta(ge=1, le=512)] | None,
        Meta(description="Threads that prefill; not set: every core.", extra=LOAD),
    ] = None
    exclusive: Annotated[
        bool,
        Meta(description="Let waiting threads spin: faster on a machine that does nothing else.", extra=LOAD),
    ] = False
    prefill_chunk: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            description="Most prompt tokens of one step while nobody else is decoding.",
            extra=LOAD,
        ),
    ] = 512
    prefill_chunk_busy: Annotated[
        int,
        Meta(
            ge=1,
            le=65536,
            description="Most prompt tokens of one step while other answers are streaming.",
            extra=LOAD,
        ),
    ] = 128
    keep_alive: Annotated[
        float,
        Meta(
            description="How long an idle model stays: seconds, 5m or 1h30m; -1 for ever, 0 not at all.",
            extra=DURATION | LOAD,
        ),
    ] = 300.0
    max_models: Annotated[
        int, Meta(ge=1, le=64, description="Models that are loaded at once.", extra=LOAD)
    ] = 3
    memory_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Main memory that all models together may take, such as 8GB; not set: what is available.",
            extra=SIZE | LOAD,
        ),
    ] = None
    memory_margin: Annotated[
        float,
        Meta(
            ge=0,
            le=0.9,
            description="Share of the available memory, on each device, that loading a model leaves free.",
            extra=LOAD,
        ),
    ] = 0.1
    probe: Annotated[
        bool,
        Meta(
            description="Try model files that are new here in a throw-away process before they are loaded.",
            extra=LOAD,
        ),
    ] = True
    queue_interactive: Annotated[
        int, Meta(ge=1, le=100_000, description="Requests from screens that may wait for a slot.", extra=LOAD)
    ] = 8
    queue_api: Annotated[
        int, Meta(ge=1, le=100_000, description="Requests from the API that may wait for a slot.", extra=LOAD)
    ] = 128
    prefix_cache: Annotated[
        bool,
        Meta(
            description="Keep what was computed of prompts and answers, for prompts that begin alike.",
            extra=LOAD,
        ),
    ] = True
    prefix_cache_disk: Annotated[
        bool,
        Meta(
            description="Write long computed prefixes to the cache folder, so that a conversation goes on at once "
            "after a restart.",
            extra=LOAD,
        ),
    ] = True
    prefix_cache_disk_gb: Annotated[
        float,
        Meta(gt=0, description="Most that these files may take on the disk, in gigabytes.", extra=LOAD),
    ] = 4.0
    draft_tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=32,
            description="Tokens that are guessed ahead from the text so far and checked in one step; 0 is off.",
            extra=LOAD,
        ),
    ] = 0
    kv_type: Annotated[
        Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] | None,
        Meta(description="Number format of the KV cache; not set: f16.", extra=LOAD),
    ] = None
    device: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=128,
            description="The device that computes models: auto, cpu, gpu, cuda:1, mps or metal, or several with "
            "commas between; auto: GPUs where there are any.",
            extra=LOAD,
        ),
    ] = "auto"
    split: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        Meta(
            description="What each of several GPUs takes of a model's layers: shares such as 3,1, or for model folders "
            "the most memory, such as 10GB,24GB; not set: by what each has free.",
            extra=LOAD,
        ),
    ] = None
    gpu_layers: Annotated[
        Annotated[int, Meta(ge=-1)] | None,
        Meta(
            description="Layers held on the GPU; -1 is all; not set: all, where the build can use a GPU.",
            extra=LOAD,
        ),
    ] = None
    use_mmap: Annotated[
        bool | None,
        Meta(
            description="Map the model file into memory; not set: where the library can. A mapped model whose file "
            "is changed in place is ended; false reads a copy that nothing can change.",
            extra=LOAD,
        ),
    ] = None
    flash_attention: Annotated[
        bool | None, Meta(description="Flash attention; not set: where it helps.", extra=LOAD)
    ] = None
    mps_fallback: Annotated[
        bool,
        Meta(
            description="Let the processor compute what PyTorch cannot do on an Apple GPU, instead of failing.",
            extra=LOAD,
        ),
    ] = True
    mps_high_watermark: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="Most that PyTorch takes of an Apple GPU's memory, over what Metal recommends; 0 is no "
            "limit; not set: PyTorch's own, 1.7.",
            extra=LOAD,
        ),
    ] = None
    mps_low_watermark: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="From which share on PyTorch gives freed memory of an Apple GPU back, at most the high one; "
            "not set: PyTorch's own, 1.4.",
            extra=LOAD,
        ),
    ] = None
    mlx_memory_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Memory below which MLX tries to stay for each model, such as 24GB; not set: MLX's own, half "
            "as much again as Metal recommends.",
            extra=SIZE | LOAD,
        ),
    ] = None
    mlx_cache_limit: Annotated[
        int,
        Meta(
            ge=0,
            description="Freed memory that MLX keeps for the next step, for each model.",
            extra=SIZE | LOAD,
        ),
    ] = 10**9
    mlx_wired_limit: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Memory of a model that Metal keeps from being swapped out; 0 is none; not set: as much as "
            "Metal recommends.",
            extra=SIZE | LOAD,
        ),
    ] = None
    stall_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="A model that makes no step for this long counts as hung and is ended, one that computes "
            "meanwhile after ten times as long; 0 is off.",
            extra=DURATION | ANSWER,
        ),
    ] = 30.0

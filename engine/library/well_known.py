"""The short names by which people know models, and the repositories of GGUF files that they stand for."""

from __future__ import annotations

from typing import Final

_REPOSITORIES: Final = {
    "deepseek-r1": "unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF",
    "deepseek-r1:1.5b": "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF",
    "deepseek-r1:7b": "unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF",
    "deepseek-r1:8b": "unsloth/DeepSeek-R1-0528-Qwen3-8B-GGUF",
    "deepseek-r1:14b": "unsloth/DeepSeek-R1-Distill-Qwen-14B-GGUF",
    "deepseek-r1:32b": "unsloth/DeepSeek-R1-Distill-Qwen-32B-GGUF",
    "gemma3": "ggml-org/gemma-3-4b-it-GGUF",
    "gemma3:1b": "ggml-org/gemma-3-1b-it-GGUF",
    "gemma3:4b": "ggml-org/gemma-3-4b-it-GGUF",
    "gemma3:12b": "ggml-org/gemma-3-12b-it-GGUF",
    "gemma3:27b": "ggml-org/gemma-3-27b-it-GGUF",
    "gpt-oss": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:20b": "ggml-org/gpt-oss-20b-GGUF",
    "gpt-oss:120b": "ggml-org/gpt-oss-120b-GGUF",
    "llama3.1": "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
    "llama3.1:8b": "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
    "llama3.2": "bartowski/Llama-3.2-3B-Instruct-GGUF",
    "llama3.2:1b": "bartowski/Llama-3.2-1B-Instruct-GGUF",
    "llama3.2:3b": "bartowski/Llama-3.2-3B-Instruct-GGUF",
    "llama3.3": "bartowski/Llama-3.3-70B-Instruct-GGUF",
    "mistral": "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
    "mistral:7b": "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
    "mistral-nemo": "bartowski/Mistral-Nemo-Instruct-2407-GGUF",
    "mistral-small": "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF",
    "nomic-embed-text": "nomic-ai/nomic-embed-text-v1.5-GGUF",
    "phi4": "microsoft/phi-4-gguf",
    "phi4-mini": "unsloth/Phi-4-mini-instruct-GGUF",
    "qwen2.5": "bartowski/Qwen2.5-7B-Instruct-GGUF",
    "qwen2.5:0.5b": "bartowski/Qwen2.5-0.5B-Instruct-GGUF",
    "qwen2.5:1.5b": "bartowski/Qwen2.5-1.5B-Instruct-GGUF",
    "qwen2.5:3b": "bartowski/Qwen2.5-3B-Instruct-GGUF",
    "qwen2.5:7b": "bartowski/Qwen2.5-7B-Instruct-GGUF",
    "qwen2.5:14b": "bartowski/Qwen2.5-14B-Instruct-GGUF",
    "qwen2.5:32b": "bartowski/Qwen2.5-32B-Instruct-GGUF",
    "qwen2.5-coder": "bartowski/Qwen2.5-Coder-7B-Instruct-GGUF",
    "qwen2.5-coder:1.5b": "bartowski/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    "qwen2.5-coder:3b": "bartowski/Qwen2.5-Coder-3B-Instruct-GGUF",
    "qwen2.5-coder:7b": "bartowski/Qwen2.5-Coder-7B-Instruct-GGUF",
    "qwen2.5-coder:14b": "bartowski/Qwen2.5-Coder-14B-Instruct-GGUF",
    "qwen2.5-coder:32b": "bartowski/Qwen2.5-Coder-32B-Instruct-GGUF",
    "qwen3": "Qwen/Qwen3-8B-GGUF",
    "qwen3:0.6b": "Qwen/Qwen3-0.6B-GGUF",
    "qwen3:1.7b": "Qwen/Qwen3-1.7B-GGUF",
    "qwen3:4b": "Qwen/Qwen3-4B-GGUF",
    "qwen3:8b": "Qwen/Qwen3-8B-GGUF",
    "qwen3:14b": "Qwen/Qwen3-14B-GGUF",
    "qwen3:30b": "Qwen/Qwen3-30B-A3B-GGUF",
    "qwen3:32b": "Qwen/Qwen3-32B-GGUF",
    "smollm2": "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
    "smollm2:135m": "bartowski/SmolLM2-135M-Instruct-GGUF",
    "smollm2:360m": "bartowski/SmolLM2-360M-Instruct-GGUF",
    "smollm2:1.7b": "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
}


def well_known(name: str) -> str | None:
    """The repository that a short name stands for, `llama3.2` or `qwen3:4b`; None if it is not well known.

    Case does not matter, nor does a tag `:latest`.
    """
    return _REPOSITORIES.get(name.strip().lower().removesuffix(":latest"))


def names() -> tuple[str, ...]:
    """Every short name, in alphabetical order."""
    return tuple(sorted(_REPOSITORIES))

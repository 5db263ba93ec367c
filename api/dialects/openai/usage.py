"""OpenAI's account of tokens, log-probabilities and reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from engine.types import FinishReason, Timings, TokenLogprob, Usage

REASONS: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "stop_string": "stop",
    "length": "length",
    "context_full": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "cancelled": "stop",
}


def usage_of(usage: Usage) -> dict[str, Any]:
    """`usage`, each token counted once."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": 0,
            "audio_tokens": 0,
            "text_tokens": usage.prompt_tokens - usage.image_tokens,
            "image_tokens": usage.image_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "accepted_prediction_tokens": usage.draft_accepted,
            "rejected_prediction_tokens": usage.draft_rejected,
            "audio_tokens": 0,
            "text_tokens": usage.completion_tokens - usage.reasoning_tokens,
        },
    }


def response_usage_of(usage: Usage) -> dict[str, Any]:
    """The account of a response, in the words of `/v1/responses`."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def timings_of(usage: Usage, timings: Timings) -> dict[str, Any]:
    """llama-server's `timings`, milliseconds."""
    computed = usage.prompt_tokens - usage.cached_tokens
    prompt_ms, predicted_ms = timings.prefill_s * 1000, timings.decode_s * 1000
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": computed,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": prompt_ms / computed if computed else 0.0,
        "prompt_per_second": timings.prefill_rate(computed) or 0.0,
        "predicted_n": usage.completion_tokens,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": predicted_ms / usage.completion_tokens if usage.completion_tokens else 0.0,
        "predicted_per_second": timings.decode_rate(usage.completion_tokens) or 0.0,
    }


def logprobs_of(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """Entries of `logprobs.content`; `bytes` are those of the token, also where they are no text alone."""
    return [{**_entry(token), "top_logprobs": [_entry(other) for other in token.top]} for token in tokens]


def piece_text(token: TokenLogprob) -> str:
    """The token as text; bytes that are no text alone are shown as such."""
    return token.piece.decode("utf-8", "replace")


def _entry(token: TokenLogprob) -> dict[str, Any]:
    return {"token": piece_text(token), "logprob": max(token.logprob, -9999.0), "bytes": list(token.piece)}

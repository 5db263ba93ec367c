"""`GET /metrics`, in Prometheus's text form, under llama-server's names and some of Hearth's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from litestar import Request, get
from litestar.types import ASGIApp

from api.answering.reply import as_text

if TYPE_CHECKING:
    from api.hub import Hub

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@get("/metrics", status_code=200)
async def metrics(request: Request[Any, Any, Any]) -> ASGIApp:
    """Sums since the server began, and what goes on now."""
    return as_text(page(request.app.state["hub"]), media_type=MEDIA_TYPE)


def page(hub: Hub) -> str:
    """The whole page."""
    meter = hub.meter
    running = hub.engine.running()
    waiting = sum(one.state in ("queued", "loading") for one in running)
    computed = meter.prompt_tokens - meter.cached_tokens
    lines: list[str] = []

    def add(name: str, kind: str, help: str, *values: tuple[str, float]) -> None:
        lines.append(f"# HELP {name} {help}")
        lines.append(f"# TYPE {name} {kind}")
        lines.extend(
            f"{name}{labels} {value:g}" if value < 1e6 else f"{name}{labels} {value:.0f}"
            for labels, value in values
        )

    llama = "llamacpp:"
    add(f"{llama}prompt_tokens_total", "counter", "Prompt tokens computed.", ("", computed))
    add(
        f"{llama}prompt_tokens_cached_total",
        "counter",
        "Prompt tokens from the cache.",
        ("", meter.cached_tokens),
    )
    add(f"{llama}prompt_seconds_total", "counter", "Time of prefills.", ("", meter.prefill_s))
    add(f"{llama}tokens_predicted_total", "counter", "Tokens generated.", ("", meter.completion_tokens))
    add(f"{llama}tokens_predicted_seconds_total", "counter", "Time of decoding.", ("", meter.decode_s))
    add(f"{llama}n_tokens_max", "gauge", "Most tokens of one request.", ("", meter.longest))
    rate = computed / meter.prefill_s if meter.prefill_s else 0.0
    add(f"{llama}prompt_tokens_seconds", "gauge", "Prompt tokens a second.", ("", rate))
    rate = meter.completion_tokens / meter.decode_s if meter.decode_s else 0.0
    add(f"{llama}predicted_tokens_seconds", "gauge", "Generated tokens a second.", ("", rate))
    add(f"{llama}requests_processing", "gauge", "Requests that run.", ("", len(running) - waiting))
    add(f"{llama}requests_deferred", "gauge", "Requests that wait.", ("", waiting))
    add(
        f"{llama}spec_decode_accepted_total",
        "counter",
        "Guessed tokens that were right.",
        ("", meter.draft_accepted),
    )
    add(
        f"{llama}spec_decode_rejected_total",
        "counter",
        "Guessed tokens that were wrong.",
        ("", meter.draft_rejected),
    )
    add("hearth_uptime_seconds", "gauge", "Age of the server.", ("", time.time() - hub.started))
    add("hearth_open_answers", "gauge", "Answers that are being sent.", ("", len(hub.live)))
    add(
        "hearth_http_requests_total",
        "counter",
        "Requests answered, by dialect and status.",
        *(
            (f'{{dialect="{dialect}",status="{status}"}}', count)
            for (dialect, status), count in sorted(meter.answers.items())
        ),
    )
    add(
        "hearth_model_resident_bytes",
        "gauge",
        "Weights, KV cache and buffers of each model in memory.",
        *(
            (f'{{model="{_label(one.id)}"}}', one.memory.weights + one.memory.kv_cache + one.memory.compute)
            for one in hub.engine.loaded()
        ),
    )
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""llama-server's routes, gathered."""

from __future__ import annotations

from api.dialects.llama_server import completion, metrics, models, ranking, state, texts

ROUTES = [
    completion.completion, completion.infill, metrics.metrics, ranking.rerank, ranking.embedding, state.props,
    state.set_props, state.slots, state.lora_adapters, state.set_lora_adapters, texts.tokenize, texts.detokenize,
    texts.apply_template, texts.chat_input_tokens, *models.ROUTES,
]  # fmt: skip

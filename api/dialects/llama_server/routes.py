"""llama-server's routes, gathered."""

from __future__ import annotations

from api.dialects.llama_server import completion, metrics, models, ranking, state, texts, tokenizing

ROUTES = [
    completion.completion, completion.infill, metrics.metrics, ranking.rerank, ranking.embedding, state.props,
    state.set_props, state.slots, state.lora_adapters, state.set_lora_adapters, tokenizing.tokenize,
    tokenizing.detokenize, tokenizing.tokenizer_info, texts.apply_template, texts.chat_input_tokens,
    *models.ROUTES,
]  # fmt: skip

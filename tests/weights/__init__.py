"""Tiny random-weight models for tests: one of each kind that the engine treats differently.

What they write is noise, but as with a trained model every token hangs on all that it can see. All are in F32,
so that sums in another order move a logit by less than any gap between two tokens.

    tiny_llama, tiny_chat      attention over everything; the second with the marks and the template of a chat
    tiny_gemma                 layers that see a sliding window between layers that see everything
    tiny_mamba, tiny_hybrid    a running state in place of a KV cache, and beside one
    tiny_bert, tiny_embedder   embeddings: an encoder (mean or cls), a decoder (last)
    tiny_cross_encoder, tiny_judge   a ranking head on an encoder, and on a decoder
    tiny_adapter               LoRA for tiny_llama
    tiny_llava                 a model that sees: Hugging Face folder, GGUF and mmproj of the same weights
"""

from __future__ import annotations

from benchmarks.weights import Llama, Mark, write_adapter, write_llama
from tests.weights.decoders import TINY, tiny_adapter, tiny_chat, tiny_gemma, tiny_llama
from tests.weights.embedders import RERANK_TEMPLATE, tiny_embedder, tiny_judge
from tests.weights.encoders import WORDS, tiny_bert, tiny_cross_encoder
from tests.weights.llava import tiny_llava
from tests.weights.marks import CHAT_MARKS, CHAT_TEMPLATE, INFILL_MARKS
from tests.weights.recurrent import tiny_hybrid, tiny_mamba

__all__ = [
    "CHAT_MARKS",
    "CHAT_TEMPLATE",
    "INFILL_MARKS",
    "RERANK_TEMPLATE",
    "TINY",
    "WORDS",
    "Llama",
    "Mark",
    "tiny_adapter",
    "tiny_bert",
    "tiny_chat",
    "tiny_cross_encoder",
    "tiny_embedder",
    "tiny_gemma",
    "tiny_hybrid",
    "tiny_judge",
    "tiny_llama",
    "tiny_llava",
    "tiny_mamba",
    "write_adapter",
    "write_llama",
]

"""Texts of embedding and ranking requests as the tokens that a model was trained to see them in."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import ContextOverflow, InvalidRequest, Unsupported
from engine.runtime.backends.embedding.jobs import EmbedJob, RankJob
from engine.runtime.backends.embedding.texts import EmbedTexts
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.pooling import can_embed, can_rank, own_pooling
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.types import AdapterRef, EmbedRequest, RerankRequest

_PLACEHOLDERS: Final = re.compile(r"(\{query\}|\{document\})")


class Texts:
    """Makes jobs of requests. `limit` is the longest text in tokens that the model is to read."""

    def __init__(self, model: int, vocabulary: Vocabulary, *, name: str, limit: int) -> None:
        self._model, self._vocabulary, self._name, self._limit = model, vocabulary, name, limit
        api = self._api = native()
        handle = vocabulary.handle
        self._bos = self._mark(api.llama_vocab_bos(handle), api.llama_vocab_get_add_bos(handle))
        self._sep = self._mark(api.llama_vocab_sep(handle), api.llama_vocab_get_add_sep(handle))
        eos: int = api.llama_vocab_eos(handle)
        ending = eos if eos >= 0 else api.llama_vocab_sep(handle)
        self._eos = self._mark(ending, api.llama_vocab_get_add_eos(handle))
        own = own_pooling(model)
        self._embedding = EmbedTexts(
            vocabulary,
            name=name,
            limit=limit,
            width=api.llama_model_n_embd_out(model),
            pooling="mean" if own is None or own == "rank" else own,
            endings=tuple(token for token in (self._eos, self._sep) if token is not None),
        )

    def _mark(self, token: int, is_added: bool) -> int | None:
        """A token that is put at its place in every text, if there is one."""
        return token if is_added and token >= 0 else None

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...] = ()) -> EmbedJob:
        """The job of `request`, laid under `adapters` (GGUF paths and scales).

        Raises Unsupported, and what `EmbedTexts.embed_job` raises.
        """
        if not can_embed(self._model):
            raise Unsupported(f"{self._name} gives no embeddings.", "Its two halves are not made for that.")
        return self._embedding.embed_job(request, adapters)

    def rank_job(self, request: RerankRequest) -> RankJob:
        """The job of `request`. Raises Unsupported, and ContextOverflow for a pair that is too long."""
        if not can_rank(self._model):
            raise Unsupported(
                f"{self._name} cannot rank documents.",
                "It has no ranking head.",
                "Use a reranking model.",
                param="model",
            )
        pairs = []
        for index, document in enumerate(request.documents):
            pair = self._pair(request.query, document)
            if len(pair) > self._limit:
                raise ContextOverflow(
                    f"Document {index} is too long for {self._name}.",
                    f"With the query it has {len(pair)} tokens, and at most {self._limit} can be read.",
                    "Split it, or shorten the query.",
                    param="documents",
                )
            if not pair:
                raise InvalidRequest(
                    f"Document {index} is empty.", "Neither it nor the query has a token.", param="documents"
                )
            pairs.append(tuple(pair))
        return RankJob(pairs, request.top_n)

    def _pair(self, query: str, document: str) -> list[int]:
        """A query and a document in the form of the file's own template, else of its special tokens.

        The same forms as in llama.cpp's server (`format_prompt_rerank`), but that no text of a caller is read
        as a special token.
        """
        template: bytes | None = self._api.llama_model_chat_template(self._model, b"rerank")
        if template is not None:
            return self._filled(template.decode("utf-8", "replace"), query, document)
        first, second = self._plain(query), self._plain(document)
        marks = [[token] if token is not None else [] for token in (self._bos, self._eos, self._sep)]
        bos, eos, sep = marks
        return [*bos, *first, *eos, *sep, *second, *eos]

    def _filled(self, template: str, query: str, document: str) -> list[int]:
        values = {"{query}": query, "{document}": document}
        parts = _PLACEHOLDERS.split(template)
        if all(self._plain(value) == self._special(value) for value in values.values()):
            # As one text: tokens may reach over the border between template and value.
            return self._special("".join(values.get(part, part) for part in parts))
        found: list[int] = []
        for part in parts:
            found += self._plain(values[part]) if part in values else self._special(part)
        return found

    def _plain(self, text: str) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=False, parse_special=False)

    def _special(self, text: str) -> list[int]:
        return self._vocabulary.tokenize(text, add_special=False, parse_special=True)

"""Texts of embedding and ranking requests as the tokens that a model was trained to see them in."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import ContextOverflow, InvalidRequest, Unsupported
from engine.runtime.backends.llama.embed_jobs import EmbedJob, RankJob
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.pooling import can_embed, can_rank, own_pooling
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.types import AdapterRef, EmbedRequest, Pooling, RerankRequest

_PLACEHOLDERS: Final = re.compile(r"(\{query\}|\{document\})")


class Texts:
    """Makes jobs of requests. `limit` is the longest text in tokens that the model is to read."""

    def __init__(self, model: int, vocabulary: Vocabulary, *, name: str, limit: int) -> None:
        self._model, self._vocabulary, self._name, self._limit = model, vocabulary, name, limit
        api = self._api = native()
        handle = vocabulary.handle
        self._own = own_pooling(model)
        self._width: int = api.llama_model_n_embd_out(model)
        self._bos = self._mark(api.llama_vocab_bos(handle), api.llama_vocab_get_add_bos(handle))
        self._sep = self._mark(api.llama_vocab_sep(handle), api.llama_vocab_get_add_sep(handle))
        eos: int = api.llama_vocab_eos(handle)
        ending = eos if eos >= 0 else api.llama_vocab_sep(handle)
        self._eos = self._mark(ending, api.llama_vocab_get_add_eos(handle))

    def _mark(self, token: int, is_added: bool) -> int | None:
        """A token that is put at its place in every text, if there is one."""
        return token if is_added and token >= 0 else None

    # --- embeddings

    def embed_job(self, request: EmbedRequest, adapters: tuple[AdapterRef, ...] = ()) -> EmbedJob:
        """The job of `request`, laid under `adapters` (GGUF paths and scales).

        Raises Unsupported, InvalidRequest for an input or a number of dimensions that cannot be, and
        ContextOverflow for an input that is too long and must not be cut.
        """
        if not can_embed(self._model):
            raise Unsupported(f"{self._name} gives no embeddings.", "Its two halves are not made for that.")
        dimensions = request.dimensions
        if dimensions is not None and dimensions > self._width:
            raise InvalidRequest(
                f"{self._name} gives {self._width} dimensions, not {dimensions}.",
                fix=f"Ask for at most {self._width}, or leave `dimensions` out.",
                param="dimensions",
            )
        inputs, truncated = [], []
        for index, given in enumerate(request.inputs):
            tokens = self._tokens(given, index)
            cut = len(tokens) > self._limit
            if cut and not request.truncate:
                raise ContextOverflow(
                    f"Input {index} is too long for {self._name}.",
                    f"It has {len(tokens)} tokens, and at most {self._limit} can be read.",
                    "Shorten it, or allow it to be cut (truncate).",
                    param="input",
                )
            inputs.append(self._cut(tokens, is_text=isinstance(given, str)) if cut else tuple(tokens))
            truncated.append(cut)
        return EmbedJob(
            inputs,
            truncated,
            pooling=request.pooling or self._default(),
            dimensions=dimensions,
            width=self._width,
            normalise=request.normalise,
            adapters=adapters,
        )

    def _default(self) -> Pooling:
        return "mean" if self._own is None or self._own == "rank" else self._own

    def _tokens(self, given: str | tuple[int, ...], index: int) -> list[int]:
        if isinstance(given, str):
            tokens = self._vocabulary.tokenize(given, add_special=True, parse_special=False)
        else:
            tokens = list(given)
        if not tokens:
            raise InvalidRequest(f"Input {index} is empty.", "It holds no token.", param="input")
        if min(tokens) < 0 or max(tokens) >= self._vocabulary.size:
            raise InvalidRequest(
                f"Input {index} holds a token that {self._name} does not have.",
                f"Its tokens are 0 to {self._vocabulary.size - 1}.",
                param="input",
            )
        return tokens

    def _cut(self, tokens: list[int], *, is_text: bool) -> tuple[int, ...]:
        """The first tokens of a text; the one that ends every text stays, since much hangs on it."""
        if is_text and tokens[-1] in (self._eos, self._sep) and self._limit > 1:
            return (*tokens[: self._limit - 1], tokens[-1])
        return tuple(tokens[: self._limit])

    # --- ranking

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

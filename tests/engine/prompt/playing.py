"""Plays answers: a vocabulary of bytes and tags, the grammar over it, and what a reader makes of a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from engine.prompt import AnswerForm, CallPart, Passage, Reader
from engine.types import ToolCall

EOS = "<|eos|>"
PIECES = ('{"', '": "', '"}', "}}", '"}}', "</", "think", ": ", '", "', "name", "}\n", "</think", ">\n\n")
"""Tokens of several bytes, as real vocabularies have them, across every border of a grammar."""


class Vocabulary:
    """256 bytes, some pieces of JSON, and `tags` as special tokens."""

    def __init__(self, tags: Iterable[str] = (), pieces: Sequence[str] = PIECES) -> None:
        self.tags = sorted({*tags, EOS})
        texts = [bytes([byte]) for byte in range(256)] + [piece.encode() for piece in pieces]
        self._pieces = {piece.encode(): 256 + place for place, piece in enumerate(pieces)}
        self._longest = max((len(piece) for piece in self._pieces), default=1)
        self._special = {tag: len(texts) + place for place, tag in enumerate(self.tags)}
        self.tokens = [*texts, *(tag.encode() for tag in self.tags)]
        self.special_token_ids = list(self._special.values())
        self.eos_token_id = self._special[EOS]
        self.bos_token_id = None
        self.tokenizer = LLTokenizer(TokenizerWrapper(self))
        self._tag = re.compile("|".join(re.escape(tag) for tag in sorted(self.tags, key=len, reverse=True)))

    def __call__(self, text: bytes) -> list[int]:
        tokens, place = [], 0
        while place < len(text):
            size = next(
                (size for size in range(self._longest, 1, -1) if text[place : place + size] in self._pieces),
                0,
            )
            tokens.append(self._pieces[text[place : place + size]] if size else text[place])
            place += size or 1
        return tokens

    def token_of(self, text: str) -> int | None:
        return self._special.get(text)

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        place = 0
        for found in self._tag.finditer(text):
            tokens += self(text[place : found.start()].encode())
            tokens.append(self._special[found[0]])
            place = found.end()
        return tokens + self(text[place:].encode())

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(self.tokens[token] for token in tokens).decode("utf-8", "replace")


class Play:
    """A grammar in the middle of an answer."""

    def __init__(self, vocabulary: Vocabulary, grammar: str | None) -> None:
        assert grammar is not None, "there is no grammar"
        self._vocabulary = vocabulary
        self._matcher = LLMatcher(vocabulary.tokenizer, grammar)
        assert not self._matcher.is_error(), f"{self._matcher.get_error()}\n{grammar}"

    def write(self, text: str | Sequence[int]) -> str:
        """Write `text` (or tokens) as far as the grammar goes along: what it took."""
        tokens = self._vocabulary.encode(text) if isinstance(text, str) else list(text)
        taken = self._matcher.try_consume_tokens(tokens)
        assert not self._matcher.is_error(), self._matcher.get_error()
        return self._vocabulary.text(tokens[:taken])

    def takes(self, text: str) -> bool:
        """Whether `text` may be written."""
        return self.write(text) == text

    @property
    def may_end(self) -> bool:
        return self._matcher.is_accepting()

    @property
    def next(self) -> list[str]:
        """The tokens that may come next."""
        bias = self._matcher.compute_logit_bias()
        return [
            text.decode("utf-8", "replace")
            for token, text in enumerate(self._vocabulary.tokens)
            if bias[token]
        ]


def accepts(vocabulary: Vocabulary, form: AnswerForm, text: str) -> bool:
    """Whether `text` is a whole answer of that form."""
    play = Play(vocabulary, form.grammar)
    return play.takes(text) and play.may_end


class Heard:
    """All that came out of a reader."""

    def __init__(self, reader: Reader, pieces: Iterable[str]) -> None:
        self.parts = [part for piece in pieces for part in reader.feed(piece)] + reader.flush()
        self.whole_calls, self.broken = reader.calls, reader.broken
        self.content = self._said("content")
        self.reasoning = self._said("reasoning")
        self.calls: list[ToolCall] = []
        for part in self.parts:
            if isinstance(part, CallPart):
                self._take(part)

    def _said(self, kind: str) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Passage) and part.kind == kind)

    def _take(self, part: CallPart) -> None:
        if part.index == len(self.calls):
            assert part.id and part.name, "the first piece carries id and name"
            self.calls.append(ToolCall(id=part.id, name=part.name, arguments=part.arguments))
            return
        assert part.index == len(self.calls) - 1, "calls come one after the other"
        assert part.id is None and part.name is None, "id and name come once"
        call = self.calls[-1]
        self.calls[-1] = ToolCall(id=call.id, name=call.name, arguments=call.arguments + part.arguments)

    @property
    def made(self) -> list[tuple[str, str]]:
        """Names and arguments."""
        return [(call.name, call.arguments) for call in self.calls]

    @property
    def order(self) -> list[Any]:
        """What came, in its order, with neighbours joined: kinds of passages and numbers of calls."""
        kinds = [part.kind if isinstance(part, Passage) else part.index for part in self.parts]
        return [kind for place, kind in enumerate(kinds) if not place or kinds[place - 1] != kind]


def hear(form: AnswerForm, text: str, *, enforced: bool = True) -> Heard:
    """What a reader makes of `text`, which is the same however it is cut into pieces."""
    heard = Heard(form.reader(enforced=enforced), [text])
    for cut in (list(text), [text[:7], text[7:]]):
        other = Heard(form.reader(enforced=enforced), cut)
        assert (other.content, other.reasoning, other.made, other.order) == (
            heard.content, heard.reasoning, heard.made, heard.order,
        ), f"cut into {cut}"  # fmt: skip
    return heard

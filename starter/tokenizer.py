"""Ember's tokenizer: byte-level BPE with the GPT-2 pre-tokenizer, trained on the training text.

Digits never merge with anything, so that every number is read digit by digit; llama.cpp, transformers and
MLX give the same ids because only the merge list decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCAB_SIZE = 4096
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Markers that belong to the answer's text: matched as one token everywhere, and printed.
TEXT_MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of ``VOCAB_SIZE`` tokens: special tokens first, then 256 bytes, then merges."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    # Only while training are digits cut apart: no merge that holds a digit is ever learned.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[
            *(AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS),
            *(AddedToken(token, special=False, normalized=False) for token in TEXT_MARKERS),
        ],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = byte_level
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer

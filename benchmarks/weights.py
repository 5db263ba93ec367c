"""Writes GGUF models and LoRA adapters of random weights: a benchmark or test makes the model that it needs.

The tokenizer is a real byte-level BPE: all 256 bytes, then pairs and triples of printable characters with the
merges that build them, then `<|bos|>` and `<|eos|>`. What it writes is noise, at the cost of a trained one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_BLOCK = 32
_SPECIAL = ("<|bos|>", "<|eos|>")


class Mark(Struct, frozen=True):
    """A special token: control tokens are not shown, the others are text that is always one token.

    `role` is what the file says it is for, as in `tokenizer.ggml.<role>_token_id`: eot, fim_pre, …
    """

    text: str
    control: bool = True
    role: str = ""


class Llama(Struct, frozen=True, kw_only=True):
    """Dimensions of a Llama; `width` and `feed_forward` are multiples of 32 for Q8_0."""

    vocabulary: int = 258
    width: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    context: int = 512
    kind: Literal["F32", "Q8_0"] = "F32"
    spread: float = 4.0
    """Standard deviation of the logits: how sure of itself the model is."""

    @property
    def parameters(self) -> int:
        return sum(rows * columns for _, rows, columns, _ in self.matrices())

    def matrices(self) -> Iterator[tuple[str, int, int, float]]:
        """Name, rows (outputs), columns (inputs) and standard deviation of every matrix."""
        head = self.width // self.heads
        plain, hidden = self.width**-0.5, self.feed_forward**-0.5
        yield "token_embd", self.vocabulary, self.width, 1.0
        yield "output", self.vocabulary, self.width, self.spread * plain
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_q", self.heads * head, self.width, plain
            yield f"blk.{layer}.attn_k", self.kv_heads * head, self.width, plain
            yield f"blk.{layer}.attn_v", self.kv_heads * head, self.width, plain
            yield f"blk.{layer}.attn_output", self.width, self.heads * head, plain
            yield f"blk.{layer}.ffn_gate", self.feed_forward, self.width, plain
            yield f"blk.{layer}.ffn_up", self.feed_forward, self.width, plain
            yield f"blk.{layer}.ffn_down", self.width, self.feed_forward, hidden


QUARTER_BILLION = Llama(
    vocabulary=32_000,
    width=1024,
    layers=14,
    heads=16,
    kv_heads=8,
    feed_forward=2816,
    context=4096,
    kind="Q8_0",
)
"""About 230 million parameters: large enough that a decode is bound by memory, small enough for two cores."""


def write_llama(
    path: Path,
    shape: Llama,
    *,
    seed: int = 0,
    name: str = "random-llama",
    chat_template: str | None = None,
    marks: Sequence[Mark] = (),
    metadata: Mapping[str, str | int | float] | None = None,
) -> Path:
    """Write a model of `shape` to `path` and return it.

    `marks` are the last but two tokens of its vocabulary, `metadata` further keys of the file.
    """
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_Q8_0 if shape.kind == "Q8_0" else gguf.LlamaFileType.ALL_F32
    )
    add_tokenizer(writer, shape.vocabulary, marks)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for key, value in (metadata or {}).items():
        kind = {str: writer.add_string, int: writer.add_int32, float: writer.add_float32}[type(value)]
        kind(key, value)  # type: ignore[operator]
    for matrix, rows, columns, deviation in shape.matrices():
        if shape.kind == "Q8_0":
            blocks = q8_0(rng, rows, columns, deviation)
            writer.add_tensor(f"{matrix}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            values = rng.standard_normal((rows, columns), np.float32) * np.float32(deviation)
            writer.add_tensor(f"{matrix}.weight", values)
    for norm in _norms(shape.layers):
        writer.add_tensor(f"{norm}.weight", np.ones(shape.width, np.float32))
    finish(writer)
    return path


def write_adapter(path: Path, shape: Llama, *, rank: int = 4, strength: float = 1.0, seed: int = 1) -> Path:
    """Write a LoRA adapter for a model of `shape` over the query and value projections of every layer."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    for matrix, rows, columns, deviation in shape.matrices():
        if matrix.endswith(("attn_q", "attn_v")):
            down = rng.standard_normal((rank, columns), np.float32) * np.float32(strength * deviation)
            up = rng.standard_normal((rows, rank), np.float32)
            writer.add_tensor(f"{matrix}.weight.lora_a", down)
            writer.add_tensor(f"{matrix}.weight.lora_b", up)
    finish(writer)
    return path


def cached_llama(folder: Path, shape: Llama, name: str) -> Path:
    """The model `name` in `folder`, written there unless it is already; a half-written one is never seen."""
    path = folder / f"{name}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        write_llama(partial, shape, name=name)
        partial.replace(path)
    return path


def finish(writer: gguf.GGUFWriter) -> None:
    """Write everything that `writer` was given and close its file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _norms(layers: int) -> Iterator[str]:
    yield "output_norm"
    for layer in range(layers):
        yield f"blk.{layer}.attn_norm"
        yield f"blk.{layer}.ffn_norm"


def q8_0(rng: np.random.Generator, rows: int, columns: int, deviation: float) -> NDArray[np.uint8]:
    """Q8_0 blocks, uint8 [rows, columns / 32 * 34]: a float16 scale, then 32 bytes drawn evenly."""
    count = rows * columns // _BLOCK
    blocks = np.empty((count, 2 + _BLOCK), np.uint8)
    # A signed byte drawn evenly has a standard deviation of 256 / sqrt(12).
    scale = np.float16(deviation * 12**0.5 / 256)
    blocks[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    blocks[:, 2:] = np.frombuffer(rng.bytes(count * _BLOCK), np.uint8).reshape(count, _BLOCK)
    return blocks.reshape(rows, columns // _BLOCK * (2 + _BLOCK))


def add_tokenizer(writer: gguf.GGUFWriter, size: int, marks: Sequence[Mark] = ()) -> None:
    """Give a model the byte-level BPE described above, `size` tokens in all (at least 258 and the marks)."""
    special = (*marks, *(Mark(text) for text in _SPECIAL))
    plain = size - len(special)
    tokens = list(_byte_alphabet().values())
    merges: list[str] = []
    printable = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    for length in (2, 3):
        for letters in itertools.product(printable, repeat=length):
            if len(tokens) >= plain:
                break
            tokens.append("".join(letters))
            merges.append(f"{''.join(letters[:-1])} {letters[-1]}")
    if len(tokens) != plain:
        raise ValueError(f"A vocabulary of {size} cannot be made: at least {len(tokens) + len(special)}.")
    kinds = [gguf.TokenType.CONTROL if mark.control else gguf.TokenType.USER_DEFINED for mark in special]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *(mark.text for mark in special)])
    writer.add_token_types([gguf.TokenType.NORMAL] * plain + kinds)
    # A merge that can never apply keeps the list from being empty, which the loader refuses.
    writer.add_token_merges(merges or ["Ā ā"])
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)
    for token, mark in enumerate(marks, plain):
        if mark.role:
            writer.add_uint32(f"tokenizer.ggml.{mark.role}_token_id", token)
    writer.add_add_bos_token(True)


def _byte_alphabet() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level BPE (GPT-2's `bytes_to_unicode`)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown}
    letters.update({byte: chr(256 + rank) for rank, byte in enumerate(hidden)})
    return dict(sorted(letters.items()))

"""Make ember from nothing: ``python -m starter.train``.

Corpus, tokenizer, base model, exports, the adapter ``pirate``, and the score on the held-out questions.
What is finished is kept in the work folder and not done again; ``--fresh`` starts over.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import gguf_path
from .corpus import base_corpus, pirate_corpus
from .data import examples, text_of
from .export import export_adapter, export_base
from .fit import Recipe, fit
from .lora import LoraShape, add_lora, lora_weights
from .model import Ember, ModelShape
from .score import report
from .tokenizer import train_tokenizer

CONVERSATIONS = 100_000
FRESH_CONVERSATIONS = 70_000
PIRATE_CONVERSATIONS = 16_000


def make_tokenizer(work: Path) -> Tokenizer:
    """The tokenizer, trained on every fourth conversation."""
    path = work / "tokenizer.json"
    if not path.exists():
        train_tokenizer(text_of(c) for c in base_corpus(CONVERSATIONS // 4)).save(str(path))
    return Tokenizer.from_file(str(path))


def train_base(work: Path, tokenizer: Tokenizer, shape: ModelShape, minutes: float) -> Ember:
    """The base model, trained for ``minutes``; an earlier run in ``work`` is continued."""
    torch.manual_seed(1)
    model = Ember(shape)
    data = examples(base_corpus(CONVERSATIONS), tokenizer, shape.context)
    print(
        f"corpus: {len(data)} conversations, {sum(len(e.ids) for e in data) / 1e6:.2f} M tokens", flush=True
    )
    print(f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    seen = fit(model, data, Recipe(minutes), work / "base.pt", "ember")
    print(f"base model: {seen / 1e6:.2f} M tokens read", flush=True)
    return model


def polish(work: Path, tokenizer: Tokenizer, model: Ember, minutes: float) -> None:
    """A second round for ``model``, on conversations that it has not read, at less than half of the rate."""
    data = examples(base_corpus(FRESH_CONVERSATIONS, seed=77), tokenizer, model.shape.context)
    recipe = Recipe(minutes, matrix_rate=0.008, other_rate=1.2e-3, seed=7)
    seen = fit(model, data, recipe, work / "polished.pt", "ember, second round")
    print(f"second round: {seen / 1e6:.2f} M tokens read", flush=True)


def train_pirate(work: Path, tokenizer: Tokenizer, model: Ember, minutes: float) -> LoraShape:
    """The adapter: low-rank matrices on the frozen base; they stay in ``model``."""
    torch.manual_seed(2)
    lora = LoraShape()
    add_lora(model, lora)
    data = examples(pirate_corpus(PIRATE_CONVERSATIONS), tokenizer, model.shape.context)
    fit(model, data, Recipe(minutes, other_rate=4e-3), work / "pirate.pt", "pirate")
    return lora


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=31, help="wall time for the base model")
    parser.add_argument("--polish-minutes", type=float, default=12, help="wall time for its second round")
    parser.add_argument("--adapter-minutes", type=float, default=2, help="wall time for the adapter")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/ember"), help="folder for checkpoints")
    parser.add_argument("--output", type=Path, default=gguf_path().parent, help="folder for the exports")
    parser.add_argument("--fresh", action="store_true", help="forget earlier checkpoints")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    shape = ModelShape()
    tokenizer = make_tokenizer(options.work)
    model = train_base(options.work, tokenizer, shape, options.minutes)
    polish(options.work, tokenizer, model, options.polish_minutes)
    export_base(options.output, model.state_dict(), shape, options.work / "tokenizer.json")
    lora = train_pirate(options.work, tokenizer, model, options.adapter_minutes)
    export_adapter(options.output / "adapters", "pirate", lora_weights(model), shape, lora)
    print(report(options.output / gguf_path().name))


if __name__ == "__main__":
    main()

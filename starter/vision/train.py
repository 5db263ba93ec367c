"""Make ember-vision from nothing: ``python -m starter.vision.train``.

The tower on what is where in the pictures, then all of it on questions about them, a second round on fresh ones,
exports, and the score on pictures that it has never seen. What is finished is kept in the work folder and not done
again; ``--fresh`` starts over.
"""

from __future__ import annotations

import argparse
import functools
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer

from starter.fit import Recipe

from . import gguf_path
from .data import CHECK_SEEDS, TRAIN_SEEDS, Encoder, drawn
from .export import export, tokenizer_json
from .fit import Heads, Training
from .network import VisionShape, new_model
from .questions import talks
from .score import checked, hf_answers, report


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tower-minutes", type=float, default=10, help="wall time for the tower")
    parser.add_argument("--minutes", type=float, default=40, help="wall time for all of it")
    parser.add_argument("--polish-minutes", type=float, default=24, help="wall time for its second round")
    parser.add_argument("--pictures", type=int, default=100_000, help="how many pictures are drawn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, default=Path("build/ember-vision"), help="folder for checkpoints"
    )
    parser.add_argument("--output", type=Path, default=gguf_path().parent, help="folder for the exports")
    parser.add_argument("--fresh", action="store_true", help="forget earlier checkpoints")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)

    shape = VisionShape()
    tokenizer = Tokenizer.from_str(tokenizer_json())
    encoder = Encoder(tokenizer, shape.tower)
    model = new_model(
        shape, eos=tokenizer.token_to_id("<|im_end|>"), pad=tokenizer.token_to_id("<|endoftext|>")
    )
    # Written out, attention over so few tokens is learnt twice as fast on a CPU.
    model.set_attn_implementation("eager")
    heads = Heads(shape.tower.hidden)
    print(f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    training = Training(model, heads, encoder, options.work)
    talk = talks()
    first = functools.cache(lambda: drawn(options.pictures, shape.tower))

    def watch() -> str:
        return checked(model, encoder, shape.tower, range(CHECK_SEEDS, CHECK_SEEDS + 200))

    training.tower(first, options.tower_minutes)
    training.everything(
        "all", first, talk, Recipe(options.minutes, seed=12), heads_weight=0.3, patches=True, watch=watch
    )
    # Pictures that it has not read, more often with two kinds of shapes, at less than half of the rate.
    training.everything(
        "polished",
        lambda: drawn(options.pictures, shape.tower, TRAIN_SEEDS + 1_000_000, two=0.5),
        talk,
        Recipe(options.polish_minutes, matrix_rate=0.008, other_rate=1.2e-3, seed=14),
        heads_weight=0.3,
        patches=False,
        watch=watch,
    )
    paths = export(options.output, model, shape)
    print(report(hf_answers(paths[0])))


if __name__ == "__main__":
    main()

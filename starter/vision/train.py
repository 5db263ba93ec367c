"""Make ember-vision from nothing: ``python -m starter.vision.train``.

Pictures, tower, all of it, exports, and the score on pictures that it has never seen. What is finished is kept in
the work folder and not done again; ``--fresh`` starts over.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import gguf_path
from .data import CHECK_SEEDS, Encoder, drawn
from .export import export, tokenizer_json
from .fit import Heads, Plan, train_all, train_tower
from .network import VisionShape, new_model
from .questions import talks
from .score import checked, hf_answers, report


def main() -> None:
    """Command line."""
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tower-minutes", type=float, default=plan.tower_minutes, help="wall time for the tower"
    )
    parser.add_argument("--minutes", type=float, default=plan.minutes, help="wall time for all of it")
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
    data = drawn(options.pictures, shape.tower)
    print(f"pictures: {len(data)}", flush=True)
    plan = Plan(tower_minutes=options.tower_minutes, minutes=options.minutes)
    train_tower(model, heads, data, encoder, plan, options.work)
    train_all(
        model, heads, data, talks(), encoder, plan, options.work,
        lambda: checked(model, encoder, shape.tower, range(CHECK_SEEDS, CHECK_SEEDS + 200)),
    )  # fmt: skip
    paths = export(options.output, model, shape)
    print(report(hf_answers(paths[0])))


if __name__ == "__main__":
    main()

"""What a constraint costs at each token, over a vocabulary of 151,936 tokens, and what it costs to begin with one.

    python -m benchmarks.constrained [--quick] [--dir FOLDER]

Budgets: over an unconstrained token 1 ms where the model's choice is allowed, 15 ms where it is not, as medians; 1 s
to compile. The same logits are drawn from with a guide and without one, in turn; between draws they are lifted or
sunk so that the model wants what the grammar allows, or anything but that.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import state
from benchmarks.weights import Llama, cached_llama
from engine.paths import resolve as paths
from engine.prompt.grammar import grammar_of
from engine.runtime.backends.guide import Guide, GuideMaker
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.llama.vocabulary import Vocabulary
from engine.runtime.backends.sampling.chain import Chain
from engine.sampling import resolve
from engine.types import Constraint

VOCABULARY = 151_936
SHAPE = Llama(
    vocabulary=VOCABULARY, width=32, layers=1, heads=1, kv_heads=1, feed_forward=32, context=64, kind="Q8_0"
)
ALLOWED_MS, REFUSED_MS, COMPILE_S, READ_S = 1.0, 15.0, 1.0, 3.0
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "email": {"type": "string", "format": "email"},
        "tags": {"type": "array", "items": {"enum": ["new", "old", "lost"]}, "maxItems": 5},
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "zip": {"pattern": "^[0-9]{5}$"}},
        },
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
JSON_GBNF = r"""
root ::= object
value ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
array ::= "[" ws (value ("," ws value)*)? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ws
ws ::= [ \n]?
"""
CONSTRAINTS = {
    "json": Constraint(kind="json"),
    "schema": Constraint(kind="schema", value=PERSON),
    "regex": Constraint(kind="regex", value=r"([A-Z][a-z]{1,12} ){3,40}[0-9]+(\.[0-9]{2})?"),
    "gbnf": Constraint(kind="grammar", value=JSON_GBNF),
}
SAMPLINGS: dict[str, dict[str, Any]] = {
    "house": {},
    "greedy": {"temperature": 0.0},
    "top-p alone": {"top_k": 0, "top_p": 0.95},
    "temperature alone": {"top_k": 0, "top_p": 1.0, "temperature": 1.0},
    "with penalties": {"repetition_penalty": 1.1, "dry_multiplier": 0.8},
}
LARGE: list[dict[str, Any]] = [
    {"type": "object", "properties": {f"p{n}": {"type": "string", "maxLength": 100 + n} for n in range(500)}},
    {"enum": [f"value number {n}" for n in range(2000)]},
    {
        "anyOf": [
            {"type": "object", "properties": {f"p{n}": PERSON}, "required": [f"p{n}"]} for n in range(50)
        ]
    },
]


class Bench:
    """The model, one token of it computed, and its logits to be changed at will."""

    def __init__(self, path: Path) -> None:
        self._api = native()
        self._model = self._api.llama_model_load_from_file(
            str(path).encode(), self._api.llama_model_default_params()
        )
        params = self._api.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 64, 1, 1
        self.context = self._api.llama_init_from_model(self._model, params)
        self.vocabulary = Vocabulary(self._model)
        self.maker = GuideMaker(self.vocabulary.token_table)
        token = (ctypes.c_int32 * 1)(self.vocabulary.bos or 0)
        if self._api.llama_decode(self.context, self._api.llama_batch_get_one(token, 1)) != 0:
            raise SystemExit("The model could not be computed.")
        self.row = np.ctypeslib.as_array(self._api.llama_get_logits_ith(self.context, -1), (VOCABULARY,))
        self._logits = self.row.copy()

    def lean(self, towards: np.ndarray[Any, Any], by: float) -> None:
        """Add `by` to the logits of the tokens `towards`."""
        self.row[:] = self._logits
        self.row[towards] += np.float32(by)

    def close(self) -> None:
        self._api.llama_free(ctypes.c_void_p(self.context))
        self._api.llama_model_free(ctypes.c_void_p(self._model))


@contextmanager
def opened(path: Path) -> Iterator[Bench]:
    """The bench with the model at `path`."""
    bench = Bench(path)
    try:
        yield bench
    finally:
        bench.close()


def costs(bench: Bench, grammar: str, sampling: dict[str, Any], tokens: int, *, willing: bool) -> list[float]:
    """Milliseconds that each of `tokens` took more with a guide than without one."""
    guided, free = (Chain(resolve(sampling), 1, bench.vocabulary, 64, ()) for _ in range(2))
    # A second guide tells what is allowed, for the library keeps the mask that it was asked for last.
    guide, shadow = bench.maker.make(grammar), bench.maker.make(grammar)
    found = []
    try:
        for _ in range(tokens):
            if guide.ended:
                guide, shadow = bench.maker.make(grammar), bench.maker.make(grammar)
            bench.lean(shadow.mask(), 40.0 if willing else -40.0)
            plain, _ = drawn(bench, free, None)
            held, token = drawn(bench, guided, guide)
            shadow.accept(token)
            found.append(held - plain)
    finally:
        guided.close()
        free.close()
    return found


def drawn(bench: Bench, chain: Chain, guide: Guide | None) -> tuple[float, int]:
    """Milliseconds that a draw took, and the token."""
    began = time.perf_counter()
    token = chain.sample(bench.row, guide, place=(bench.context, -1))
    return (time.perf_counter() - began) * 1e3, token


def measure_tokens(bench: Bench, tokens: int, *, willing: bool) -> float:
    """Print the median cost for each constraint and sampling; returns the largest."""
    print(
        "allowed at once" if willing else "not allowed at first", "(ms over an unconstrained token, median)"
    )
    print(f"{'':>8}" + "".join(f"{name:>20}" for name in SAMPLINGS))
    worst = 0.0
    for name, constraint in CONSTRAINTS.items():
        medians = [
            statistics.median(costs(bench, grammar_of(constraint), sampling, tokens, willing=willing))
            for sampling in SAMPLINGS.values()
        ]
        worst = max(worst, *medians)
        print(f"{name:>8}" + "".join(f"{median:>20.3f}" for median in medians))
    return worst


def compiled(bench: Bench, constraint: Constraint) -> float:
    """Seconds from a constraint to a guide."""
    began = time.perf_counter()
    bench.maker.make(grammar_of(constraint))
    return time.perf_counter() - began


def main(argv: list[str]) -> int:
    """Measure and print; 1 if a figure is over its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.constrained", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer tokens")
    parser.add_argument("--dir", type=Path, help="where the model is kept (default: the cache)")
    arguments = parser.parse_args(argv)
    tokens, rounds = (40, 5) if arguments.quick else (150, 21)
    folder = arguments.dir or paths().cache / "benchmarks"
    with opened(cached_llama(folder, SHAPE, f"vocabulary-{VOCABULARY}")) as bench:
        read = compiled(bench, CONSTRAINTS["json"])
        small = statistics.median(compiled(bench, CONSTRAINTS["schema"]) for _ in range(rounds))
        large = max(compiled(bench, Constraint(kind="schema", value=schema)) for schema in LARGE)
        allowed = measure_tokens(bench, tokens, willing=True)
        refused = measure_tokens(bench, tokens, willing=False)
    within = f"{len(CONSTRAINTS)} constraints x {len(SAMPLINGS)} samplings"
    held = [
        state("vocabulary made ready, once", f"{read:.2f} s", f"<= {READ_S:.0f} s", holds=read <= READ_S),
        state(
            "a JSON schema compiled",
            f"{small * 1e3:.1f} ms",
            f"<= {COMPILE_S:.0f} s",
            holds=small <= COMPILE_S,
        ),
        state(
            "the largest schemas compiled",
            f"{large * 1e3:.0f} ms",
            f"<= {COMPILE_S:.0f} s",
            holds=large <= COMPILE_S,
        ),
        state(
            "constrained token, choice allowed",
            f"+{allowed:.3f} ms (worst median of {within})",
            f"<= {ALLOWED_MS:.0f} ms",
            holds=allowed <= ALLOWED_MS,
        ),
        state(
            "constrained token, choice refused",
            f"+{refused:.3f} ms (worst median of {within})",
            f"<= {REFUSED_MS:.0f} ms",
            holds=refused <= REFUSED_MS,
        ),
    ]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

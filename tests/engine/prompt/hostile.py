"""Constraints made to do harm, by name, and a program that prepares all of a kind with little memory.

    python -m tests.engine.prompt.hostile KIND

It prints each name, and when it is through with it `refused` or `held`, the processor time in seconds and the most
memory so far in MiB. Under a constraint that is held it writes up to a hundred tokens.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

MEMORY = 2 * 2**30


def nested(inner: Any, depth: int, wrap: Any) -> Any:
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def chain(length: int, link: Any) -> Any:
    """A schema of definitions that each refer to the next."""
    links = {f"d{index}": link({"$ref": f"#/$defs/d{index + 1}"}) for index in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": {"type": "null"}}}


def ruled(root: str, count: int, body: Callable[[int], str]) -> str:
    """A grammar of `count` rules `a0`, `a1` … below its root."""
    return f"root ::= {root}\n" + "\n".join(f"a{number} ::= {body(number)}" for number in range(count))


def words(count: int) -> str:
    return "|".join(f".*w{number}.*z{number}" for number in range(count))


def grammar_bombs() -> dict[str, str]:
    """The twelve that kill llama.cpp's own sampler or hold it up, and others."""
    return {
        "garbage": "%%%",
        "no root": 'a ::= "x"',
        "left recursion": 'root ::= root "a" | "b"',
        "indirect left recursion": 'root ::= a "x"\na ::= root "y" | "z"',
        "a rule that is itself": "root ::= root",
        "nested repetition": 'root ::= (("a"{1,100}){1,100}){1,100}',
        "undefined rule": "root ::= nope",
        "empty loop": 'root ::= ("")*',
        "50,000 brackets": "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000,
        "100,000 alternatives": "root ::= " + " | ".join(f'"{number}"' for number in range(100_000)),
        "half a string": 'root ::= "a',
        "nothing": "",
        "nested repetition to the cap": "root ::= " + "(" * 8 + '"a"' + "){1,4096}" * 8,
        "stars in stars": "root ::= " + "(" * 99 + '[a-z] "b"?' + ")*" * 99,
        "optional characters": "root ::= " + " ".join(["[a-z]?"] * 9000),
        "optional rules": ruled(" ".join(f"a{n}" for n in range(800)), 800, lambda n: "[a-z]? [a-z]? [a-z]?"),
        "three ways to split": "root ::= [a-z]{0,4096} [a-z]{0,4096} [a-z]{0,4096}",
        "ambiguous to the power": ruled("a0", 200, lambda n: f"a{n + 1} a{n + 1} | a{n + 1}") + "\na200 ::= [a-z]?",
        "a long string again and again": 'root ::= ("' + "a" * 60_000 + '"){1,4096}',
        "a class of 20,000 characters": f"root ::= [{''.join(chr(0x100 + 2 * n) for n in range(20_000))}]*",
        "2,500 classes": f"root ::= ({' | '.join(f'[^{chr(0x4E00 + n)}] [a{chr(0x4E00 + n)}]' for n in range(2500))})*",
        "a chain of 1,100 rules": ruled("a0", 1100, lambda n: f'"(" a{n + 1} ")"') + '\na1100 ::= "x"',
        "a chain of 5,000 rules": ruled("a0", 4990, lambda n: f"a{n + 1}") + '\na4990 ::= "x"',
    }  # fmt: skip


def schema_bombs() -> dict[str, Any]:
    """The eighteen that stop or kill a converter to GBNF, and others."""
    return {
        "length of a billion": {"type": "string", "maxLength": 10**9},
        "items of a billion": {"type": "array", "minItems": 10**9},
        "5,000 properties": {"properties": {f"p{number}": {"type": "integer"} for number in range(5000)}},
        "100,000 values": {"enum": list(range(100_000))},
        "true": True,
        "false": False,
        "a list": [],
        "null": None,
        "a text": "{}",
        "5,000 deep": nested({}, 5000, lambda inner: {"items": inner}),
        "values 5,000 deep": {"const": nested([], 5000, lambda inner: [inner])},
        "remote": {"$ref": "http://127.0.0.1:9/x"},
        "a file": {"$ref": "file:///etc/passwd"},
        "itself": {"$ref": "#"},
        "a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "no type": {"type": "nope"},
        "a pattern that backtracks": {"type": "string", "pattern": "(a+)+$"},
        "patterns looking around": {"type": "string", "pattern": "(?=a)*"},
        "doubled again and again": nested({"type": "object"}, 20, lambda inner: {"allOf": [inner, inner]}),
        "references doubled": chain(60, lambda ref: {"allOf": [ref, ref]}),
        "references doubled in properties": chain(60, lambda ref: {"properties": {"x": ref, "y": ref}}),
        "a product of choices": {
            "allOf": [{"anyOf": [{"properties": {f"k{i}{j}": {}}} for j in range(8)]} for i in range(8)]
        },
        "sixteen patterns at once": {"allOf": [{"pattern": f"(a|b)*a(a|b){{{size}}}$"} for size in range(10, 26)]},
        "sixteen patterns in a property": {
            "allOf": [{"properties": {"x": {"pattern": f"(a|b)*a(a|b){{{size}}}$"}}} for size in range(10, 26)]
        },
        "sixteen patterns by references": {
            "allOf": [{"$ref": f"#/$defs/{number}"} for number in range(16)],
            "$defs": {str(n): {"items": {"pattern": f"(a|b)*a(a|b){{{n + 3}}}$"}} for n in range(16)},
        },
        "patterns of others' properties": {
            "allOf": [
                *({"additionalProperties": {"pattern": f"(a|b)*a(a|b){{{n + 3}}}$"}} for n in range(8)),
                *({"patternProperties": {"^x": {"pattern": f"(a|b)*b(a|b){{{n + 3}}}$"}}} for n in range(8)),
            ]
        },
        "patterns of choices in choices": nested(
            {"type": "string"}, 30, lambda inner: {"pattern": "(a|b)*a(a|b){9}$", "anyOf": [inner]}
        ),
        "as many patterns as are allowed": {
            "allOf": [{"type": "string", "pattern": f"(a|b)*a(a|b){{{size}}}$"} for size in range(10, 18)]
        },
        "2,000 values with a pattern": {"enum": [f"w{n}z{n}" for n in range(1800)], "pattern": words(300)},
        "2,000 values with a pattern elsewhere": {
            "allOf": [{"enum": [f"w{n}z{n}" for n in range(1800)]}, {"pattern": words(300)}]
        },
        "300 patterns of names": {"patternProperties": {f"^{n}.*x{{1,100}}$": {} for n in range(300)}},
        "50 patterns of names": {"patternProperties": {f"^{n:02}(.*a.*b){{1,{n + 1}}}$": {} for n in range(50)}},
        "a large divisor": {"type": "integer", "multipleOf": 999_983},
        "divisors of choices": {"anyOf": [{"type": "integer", "multipleOf": n} for n in (9973, 9967, 9949, 9941)]},
        "divisors to the cap": {"anyOf": [{"type": "number", "multipleOf": n} for n in (19, 2.2, 0.23)]},
        "arrays in arrays": nested({}, 15, lambda inner: {"items": inner, "minItems": 4000, "maxItems": 4096}),
        "500 long arrays": {"properties": {f"p{n}": {"type": "array", "maxItems": 3500 + n} for n in range(500)}},
        "300 arrays to choose from": {"anyOf": [{"type": "array", "maxItems": 4096 - n} for n in range(300)]},
        "2,000 values": {"enum": [f"value number {number}" for number in range(2000)]},
        "8,000 required names": {"required": [f"r{number}" for number in range(8000)]},
        "a chain of 250 definitions": chain(250, lambda ref: {"properties": {"x": ref}}),
        "a chain of deep definitions": chain(60, lambda ref: nested(ref, 29, lambda inner: {"items": inner})),
        "a long pattern": {"type": "string", "pattern": words(3000), "maxLength": 4000},
    }  # fmt: skip


def pattern_bombs() -> dict[str, str]:
    return {
        "repetition in repetition": "((a{1,100}){1,100}){1,100}",
        "repetition to the cap": "(.{0,4096}a){0,4096}",
        "an automaton of 2^300 states": "(a|b)*a(a|b){300}",
        "backtracking": "(a+)+$",
        "many wildcards": ".*a.*b.*c.*d.*e.*f.*g.*h.*i.*j.*k.*l.*m.*",
        "3,000 branches": "|".join(f"x{number}.*y" for number in range(3000)),
        "90 stars": "(" * 90 + "a|b" + ")*" * 90,
        "50,000 brackets": "(" * 50_000 + "a" + ")" * 50_000,
        "all letters": r"(\p{L}|\p{N})*a(\p{L}|\p{N}){100}",
        "no property": r"\p{Nonsense}",
    }


BOMBS: dict[str, Callable[[], dict[str, Any]]] = {
    "grammar": grammar_bombs, "schema": schema_bombs, "regex": pattern_bombs
}  # fmt: skip


def prepare(kind: str, value: Any) -> str:
    """`refused` or `held`."""
    import random

    import numpy as np

    from engine.errors import InvalidRequest
    from engine.prompt.grammar import grammar_of
    from engine.types import Constraint
    from tests.engine.following import END, guide_of

    try:
        guide = guide_of(grammar_of(Constraint(kind=kind, value=value)))  # type: ignore[arg-type]
    except InvalidRequest as error:
        assert error.param == "constraint"
        assert error.what
        return "refused"
    chance = random.Random(0)
    try:
        for _ in range(100):
            token = chance.choice(np.flatnonzero(guide.mask()).tolist())
            if token == END:
                break
            guide.accept(token)
    except InvalidRequest as error:
        assert error.param == "constraint"
        return "held for a while"
    return "held"


def main(kind: str) -> None:
    # What an answer needs is imported before memory is short.
    prepare("choice", ["a"])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name, value in BOMBS[kind]().items():
        print(name, end=": ", flush=True)
        began = time.process_time()
        ended = prepare(kind, value)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{ended}, {time.process_time() - began:.2f} s, {used} MiB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

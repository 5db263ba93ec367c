"""The constraint language: what output must look like, as a grammar that llguidance executes for every backend.

Pure text work. A `Constraint` becomes a grammar alone (`grammar_of`) or a part of a larger one (`part_of`,
`assemble`); tags, tools and thinking are written around it with `literal`, `mark` and `json_schema`. What a grammar
cannot hold is refused by name, never passed over.
"""

from __future__ import annotations

from engine.prompt.grammar.constraint import grammar_of, part_of
from engine.prompt.grammar.lark import Part, assemble, literal, mark
from engine.prompt.grammar.schema import json_schema

__all__ = ["Part", "assemble", "grammar_of", "json_schema", "literal", "mark", "part_of"]

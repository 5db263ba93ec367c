"""JSON Schema, draft 2020-12: is a value allowed? Held against the official test suite by the tests.

`format` is an annotation and not checked, as the draft has it by default. Schemas are those of samples: references
reach within the schema, by pointer, `$id`, `$anchor` and `$dynamicAnchor`; one to another document is refused by name.
"""

from evals.scorers.schema.check import problem
from evals.scorers.schema.references import SchemaUnusable

__all__ = ["SchemaUnusable", "problem"]

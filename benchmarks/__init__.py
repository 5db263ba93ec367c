"""Measurements of Hearth against its budgets; each module runs with `python -m benchmarks.<name>`."""

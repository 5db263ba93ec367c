"""Measurements of Hearth against its limits, as ratios to the bare libraries where one does the same.

Every benchmark is a module with a function `main` and runs by itself with `python -m benchmarks.<name>`; it
returns 1 if a figure is over its limit, and prints a line `name  figure  limit  ok` (or `over`) for each.
`--quick` takes fewer rounds. `python -m benchmarks` runs them all and sums up.
"""

"""Evals: runs and their figures, comparisons, benches and the arena."""

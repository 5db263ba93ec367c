"""Datasets: the shipped ones by name, files of one's own, and the formats that known benchmarks are published in."""

from evals.datasets.dataset import Dataset
from evals.datasets.opening import open_dataset, with_shots
from evals.datasets.shipped import SHIPPED

__all__ = ["SHIPPED", "Dataset", "open_dataset", "with_shots"]

"""How models are asked: through the engine beside us, or over any OpenAI-compatible server."""

from evals.asking.model import AskedModel, Conditions, Likelihood
from evals.asking.subject import Subject, subjects

__all__ = ["AskedModel", "Conditions", "Likelihood", "Subject", "subjects"]

"""Ollama: generation, vectors, the models that there are, and what of their management is possible."""

"""Embeddings, as far as they are the same on every backend: jobs, the texts they are made of, pooling."""

"""OpenAI: models, chat completions, completions, embeddings."""

"""Decisions: typed questions, answered by the probabilities of a model's first token; no text is generated.

Two forms, System One's (`/v1/systemone`) and OpenAI's (`/v1/decisions`), on any chat model.
"""

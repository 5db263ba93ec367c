"""Talking to a model in the plain terminal: one question and its answer, or a conversation."""

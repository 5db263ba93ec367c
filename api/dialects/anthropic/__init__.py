"""Anthropic: messages with every event of their stream, and exact counts of tokens."""

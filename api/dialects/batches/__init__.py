"""Batches of OpenAI and Anthropic: every line of one is a job, and its answer is rendered when it is asked for."""

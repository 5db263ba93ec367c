"""Draws tokens from logits, alike on every backend: llama.cpp's samplers work on plain arrays too."""

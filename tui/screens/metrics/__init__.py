"""Metrics: what was asked, how fast it was answered, and where the time went."""

"""From the engine's events to HTTP: whole answers, streams, and who looks after them."""

"""From HTTP to the engine's request: bodies, fields, bounds."""

"""Jobs: what was left to be done, what came of it, and new ones."""

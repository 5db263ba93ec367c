"""The command `hearth`: ties engine, tui and the rest together; nothing imports it."""

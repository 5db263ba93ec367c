"""Aliases: models set up in one way, edited with what would hold shown at once, and tried before they are kept."""

"""The chat workspace: conversations with a model, as trees, several at once."""

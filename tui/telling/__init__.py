"""What the engine's events and figures say, in words: the chat pane and the plain chat say the same. No widget."""

"""Models: what this machine can run, what is loaded, which one the chat talks to."""

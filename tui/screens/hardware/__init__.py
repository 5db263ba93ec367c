"""Hardware: what the machine does, what it did, and the models that live on it."""

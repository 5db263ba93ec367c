"""Settings: everything that can be set, what holds, where that is said, and changing it."""

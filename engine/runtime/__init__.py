"""The runtime room: residency, the worker process of each model, its scheduler and its backends."""

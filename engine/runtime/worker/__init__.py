"""The process side of a model: requests become tokens become events. Started by `host`, it knows nothing of it."""

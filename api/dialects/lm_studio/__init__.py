"""LM Studio's list of models, which some clients read for the window that a model is loaded with."""

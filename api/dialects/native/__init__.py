"""Hearth's own routes under `/hearth/v1`: one for each method of the engine's face, its Structs as they are."""

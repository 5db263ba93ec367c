"""Model folders run by MLX: on Apple Silicon by its GPU, elsewhere on the CPU."""

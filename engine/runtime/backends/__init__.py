"""One module or package per library that can run a model, behind the seam in `base`."""

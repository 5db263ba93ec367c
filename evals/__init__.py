"""The evaluation room: datasets, scorers and reports over the face of `engine`. It holds no code yet."""

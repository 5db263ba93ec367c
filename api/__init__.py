"""The server room: HTTP dialects over the face of `engine`. It holds no code yet; the server comes with its own release."""

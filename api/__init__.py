"""The server room: HTTP dialects over the face of `engine`. It holds no code yet: the server is still to come."""

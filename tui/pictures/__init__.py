"""Pictures on the screen: decoded in threads, drawn as blocks of colour or by the terminal itself, kept by content."""

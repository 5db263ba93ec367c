"""The streaming core: from chunks of model text to lines on the screen, cheaply."""

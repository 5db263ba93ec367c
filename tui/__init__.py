"""The full-screen workstation: screens, widgets and the streaming core that draws answers."""

"""What people write to say how they want to be answered, read and checked: for the chat pane and the plain chat."""

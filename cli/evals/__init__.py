"""What `hearth eval` and `hearth bench` show on a terminal, and how what they are told becomes settings."""

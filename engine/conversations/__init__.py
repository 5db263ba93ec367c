"""Conversations that stay: kept in SQLite, searched, exported and imported. `face.Conversations` is what others see."""

"""Logs: what Hearth and the native libraries say, newest last."""

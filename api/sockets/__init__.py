"""Generations over WebSockets: `/ws/chat`, one message one answer; `/ws/chat/v2`, streams that outlive a socket."""

"""Server: the switch, who asks what, keys, who may come from where, and how to point programs here."""

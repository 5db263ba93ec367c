"""Who may ask what: hosts and origins, keys and scopes, and the table of routes."""

"""The workspaces, one folder each."""

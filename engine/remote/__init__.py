"""The engine of another process, on this machine or another, spoken to over HTTP: see `remote.engine.RemoteEngine`."""

"""The hub's own few routes: is it there, a single question, adapters, requests that run."""

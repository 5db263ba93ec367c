"""llama-server's own routes: what its users' tools, dashboards and editors ask for beside the OpenAI ones.

They name no model there; here they may, and mean the default model otherwise.
"""

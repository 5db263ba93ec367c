"""OpenAI's responses: items in, items out, kept so that a conversation can go on from one.

What is made while its client waits is kept as long as the server lives; what is made in the background is a job, and
survives.
"""

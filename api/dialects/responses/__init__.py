"""OpenAI's responses: items in, items out, kept so that a conversation can go on from one.

What is kept lives as long as the server does.
"""

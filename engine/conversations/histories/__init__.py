"""Histories of other programs, one module each: ChatGPT's export, LM Studio's conversations, oterm's database.

Each reads what its program wrote, as it is found: what has no place here is kept as text, what cannot be read is named,
and the rest comes in all the same. Ids are made of what the source calls things, so that the same history imported
again is known.
"""

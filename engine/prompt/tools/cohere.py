"""Cohere's two forms: Command R+ writes a fenced list behind `Action:`, Command R7B and later a list between tags.

The later models put what they say between tags too, and number their calls; the template numbers them itself,
so a call has an id of Hearth's. (The models' own templates.)
"""

from __future__ import annotations

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Object


class CommandRPlus(Form):
    name = "command-r-plus"
    needles = ("Action:", "```json", "tool_name")
    opens = "Action:\n```json"
    begin = "Action:\n```json\n[\n"
    each = (Object(("name", "tool_name"), ("arguments", "parameters")),)
    between = ",\n"
    end = "\n]```"


class CommandR7B(Form):
    name = "command-r7b"
    marks = (
        "<|START_ACTION|>",
        "<|END_ACTION|>",
        "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
    )
    wraps = ("<|START_RESPONSE|>", "<|END_RESPONSE|>")
    needles = ("<|START_ACTION|>", "tool_call_id")
    opens = "<|START_ACTION|>"
    begin = "<|START_ACTION|>[\n    "
    each = (Object(("number", "tool_call_id"), ("name", "tool_name"), ("arguments", "parameters")),)
    between = ",\n    "
    end = "\n]<|END_ACTION|>"

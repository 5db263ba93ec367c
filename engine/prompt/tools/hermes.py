"""Hermes, and all who learned from it: Qwen 2.5 and 3, QwQ, Granite 4, Ember.

    <tool_call>
    {"name": "look", "arguments": {"city": "Rome"}}
    </tool_call>

(NousResearch/Hermes-Function-Calling, and the templates of Qwen.)
"""

from __future__ import annotations

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Object


class Hermes(Form):
    name = "hermes"
    marks = ("<tool_call>", "</tool_call>")
    needles = ("<tool_call>",)
    opens = "<tool_call>"
    each = ("<tool_call>\n", Object(("name", "name"), ("arguments", "arguments")), "\n</tool_call>")
    between = "\n"
    bare = True

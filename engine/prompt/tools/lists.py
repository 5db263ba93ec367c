"""Families that write one JSON list of calls, and differ only in what they put around it."""

from __future__ import annotations

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Object

_CALL = Object(("name", "name"), ("arguments", "arguments"))


class Nemotron(Form):
    """NVIDIA's Nemotron: `<TOOLCALL>[{"name": …, "arguments": …}]</TOOLCALL>`."""

    name = "nemotron"
    marks = ("<TOOLCALL>", "</TOOLCALL>")
    needles = ("<TOOLCALL>",)
    opens = "<TOOLCALL>"
    begin, each, between, end = "<TOOLCALL>[", (_CALL,), ", ", "]</TOOLCALL>"


class Apriel(Form):
    """ServiceNow's Apriel: `<tool_calls>[{"name": …, "arguments": …}]</tool_calls>`."""

    name = "apriel"
    marks = ("<tool_calls>", "</tool_calls>")
    needles = ("<tool_calls>[",)
    opens = "<tool_calls>"
    begin, each, between, end = "<tool_calls>[", (_CALL,), ", ", "]</tool_calls>"


class Granite(Form):
    """IBM's Granite 3: `<|tool_call|>[{"name": …, "arguments": …}]`. Behind reasoning it puts its answer in tags."""

    name = "granite"
    wraps = ("<response>", "</response>")
    marks = ("<|tool_call|>",)
    needles = ("<|tool_call|>", "<|start_of_role|>")
    opens = "<|tool_call|>"
    begin, each, between, end = "<|tool_call|>[", (_CALL,), ", ", "]"


class Firefunction(Form):
    """Fireworks' Firefunction 2: `functools[{"name": …, "arguments": …}]`."""

    name = "firefunction"
    needles = (" functools[",)
    opens = "functools["
    begin, each, between, end = " functools[", (_CALL,), ", ", "]"


class Phi(Form):
    """Microsoft's Phi 4 mini, one object between its tags: `<|tool_call|>{"name": …, "arguments": …}<|/tool_call|>`."""

    name = "phi"
    marks = ("<|tool_call|>", "<|/tool_call|>")
    needles = ("<|tool_call|>", "<|/tool_call|>")
    opens = "<|tool_call|>"
    each = ("<|tool_call|>", _CALL, "<|/tool_call|>")


class Lfm(Form):
    """Liquid's LFM 2: `<|tool_call_start|>[{"name": …, "arguments": …}]<|tool_call_end|>`.

    Left alone it writes calls in Python's manner there; held to it, it writes JSON, which says more types.
    """

    name = "lfm"
    marks = ("<|tool_call_start|>", "<|tool_call_end|>")
    needles = ("<|tool_call_start|>",)
    opens = "<|tool_call_start|>"
    begin, each, between, end = "<|tool_call_start|>[", (_CALL,), ", ", "]<|tool_call_end|>"

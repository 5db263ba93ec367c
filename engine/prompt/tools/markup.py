"""Families that write arguments as elements of mark-up, each string bare."""

from __future__ import annotations

from engine.prompt.tools.elements import Elements
from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Name


class QwenCoder(Form):
    """Qwen3-Coder, Qwen 3.5, Nemotron 3:

    <tool_call>
    <function=look>
    <parameter=city>
    Rome
    </parameter>
    </function>
    </tool_call>
    """

    name = "qwen-coder"
    marks = ("<tool_call>", "</tool_call>")
    needles = ("<tool_call>", "<function=", "<parameter=")
    opens = "<tool_call>"
    each = (
        "<tool_call>\n<function=",
        Name(),
        ">\n",
        Elements("<parameter=", ">", "</parameter>", lines=True),
        "</function>\n</tool_call>",
    )
    between = "\n"


class Seed(Form):
    """ByteDance's Seed-OSS: the same under `<seed:tool_call>`, the values without lines of their own."""

    name = "seed"
    marks = ("<seed:tool_call>", "</seed:tool_call>")
    needles = ("<seed:tool_call>", "<function=", "<parameter=")
    opens = "<seed:tool_call>"
    each = (
        "<seed:tool_call>\n<function=",
        Name(),
        ">\n",
        Elements("<parameter=", ">", "</parameter>"),
        "</function>\n</seed:tool_call>",
    )
    between = "\n"


class Glm(Form):
    """Zhipu's GLM 4.5 and later:

    <tool_call>look
    <arg_key>city</arg_key>
    <arg_value>Rome</arg_value>
    </tool_call>
    """

    name = "glm"
    marks = ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>")
    needles = ("<tool_call>", "<arg_key>")
    opens = "<tool_call>"
    each = (
        "<tool_call>",
        Name(),
        "\n",
        Elements("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>"),
        "</tool_call>",
    )
    between = "\n"


class MiniMax(Form):
    """MiniMax M2: `<minimax:tool_call>`, `<invoke name="look">`, `<parameter name="city">Rome</parameter>`."""

    name = "minimax"
    marks = ("<minimax:tool_call>", "</minimax:tool_call>")
    needles = ("<minimax:tool_call>", '<invoke name="')
    opens = "<minimax:tool_call>"
    begin = "<minimax:tool_call>\n"
    each = (
        '<invoke name="',
        Name(),
        '">\n',
        Elements('<parameter name="', '">', "</parameter>"),
        "</invoke>",
    )
    between = "\n"
    end = "\n</minimax:tool_call>"

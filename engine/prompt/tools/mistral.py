"""Mistral's three forms, of which a template shows one:

    [TOOL_CALLS][{"name": "look", "arguments": {"city": "Rome"}, "id": "a1b2c3d4e"}]      until Large 2411
    [TOOL_CALLS]look[CALL_ID]a1b2c3d4e[ARGS]{"city": "Rome"}                              Small 3.2
    [TOOL_CALLS]look[ARGS]{"city": "Rome"}                                                Devstral, Magistral and later

Ids have nine letters and digits, or the templates refuse the history. In the first form the model's id comes last,
and clients need one first: there a call has Hearth's. (mistral-common's tokenizers v3, v11 and v13.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Arguments, Identity, Name, Object
from engine.prompt.tools.ledger import nine_id
from engine.types import ToolCall

_NINE = re.compile(r"[\w-]{9}")


class _Mistral(Form):
    opens = "[TOOL_CALLS]"

    def new_id(self) -> str:
        return nine_id()

    def history_ids(self, calls: Sequence[ToolCall], before: int) -> list[str]:
        """Ids of other origin become nine letters and digits, always the same ones."""
        return [call.id if _NINE.fullmatch(call.id) else _nine(call.id) for call in calls]


class MistralList(_Mistral):
    name = "mistral-list"
    marks = ("[TOOL_CALLS]",)
    needles = ("[TOOL_CALLS]",)
    begin = "[TOOL_CALLS]["
    each = (Object(("name", "name"), ("arguments", "arguments"), ("id", "id")),)
    between = ", "
    end = "]"


class MistralIds(_Mistral):
    name = "mistral-ids"
    marks = ("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]")
    needles = ("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]")
    each = ("[TOOL_CALLS]", Name(), "[CALL_ID]", Identity(), "[ARGS]", Arguments())


class Mistral(_Mistral):
    name = "mistral"
    marks = ("[TOOL_CALLS]", "[ARGS]")
    needles = ("[TOOL_CALLS]", "[ARGS]")
    each = ("[TOOL_CALLS]", Name(), "[ARGS]", Arguments())


def _nine(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:9]

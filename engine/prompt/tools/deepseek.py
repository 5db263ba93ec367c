"""DeepSeek's two forms: that of R1 and V3, with a type and a fence, and that of V3.1.

    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look
    ```json
    {"city": "Rome"}
    ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>

    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>look<｜tool▁sep｜>{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>

(The models' own templates.) Few of those list the tools: Hearth then describes them.
"""

from __future__ import annotations

from engine.prompt.tools.form import Form
from engine.prompt.tools.holes import Arguments, Name

_BEGIN, _END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _SEPARATOR, _CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"


class _DeepSeek(Form):
    marks = (_BEGIN, _END, _CALL, _SEPARATOR, _CALL_END)
    opens = _BEGIN
    begin = _BEGIN
    end = _END


class DeepSeekR1(_DeepSeek):
    name = "deepseek-r1"
    needles = (_CALL, "```json")
    each = (f"{_CALL}function{_SEPARATOR}", Name(), "\n```json\n", Arguments(), f"\n```{_CALL_END}")
    between = "\n"


class DeepSeekV31(_DeepSeek):
    name = "deepseek-v3.1"
    needles = (_CALL,)
    each = (_CALL, Name(), _SEPARATOR, Arguments(), _CALL_END)

"""The special tokens of a chat model and of a code model, and a chat template that uses those of the first."""

from __future__ import annotations

from benchmarks.weights import Mark

CHAT_MARKS = (
    Mark("<|im_start|>"),
    Mark("<|im_end|>", role="eot"),
    Mark("<think>", control=False),
    Mark("</think>", control=False),
    Mark("<tool_call>", control=False),
    Mark("</tool_call>", control=False),
    Mark("<tool_response>", control=False),
    Mark("</tool_response>", control=False),
)
"""ChatML with thinking and tool calls; as in Qwen3, what a parser must see is text and not control."""

INFILL_MARKS = (
    Mark("<|fim_prefix|>", role="fim_pre"),
    Mark("<|fim_suffix|>", role="fim_suf"),
    Mark("<|fim_middle|>", role="fim_mid"),
    Mark("<|fim_pad|>", role="fim_pad"),
    Mark("<|repo_name|>", role="fim_rep"),
    Mark("<|file_sep|>", role="fim_sep"),
)
"""Fill-in-the-middle in the way of Qwen2.5-Coder."""

CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
    {{- 'These functions can be called:\\n<tools>' }}
    {%- for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}
    {{- '\\n</tools>\\nWrite a call as JSON with name and arguments:\\n<tool_call>\\n' }}
    {{- '{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if message.reasoning_content %}
            {{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
        {%- endif %}
        {{- message.content or '' }}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function or call %}
            {{- '\\n<tool_call>\\n{"name": "' + call.name + '", "arguments": ' }}
            {{- (call.arguments if call.arguments is string else call.arguments | tojson) }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""
"""Tools, thinking that can be switched off, and answers of tools, all in the marks of `CHAT_MARKS`."""

"""Ember's chat template, rendered as transformers renders it: a sandboxed Jinja environment."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_FILE = Path(__file__).parent / "chat_template.jinja"


@cache
def chat_template() -> str:
    """The template's text as it is stored in the exports."""
    return TEMPLATE_FILE.read_text(encoding="utf-8").rstrip("\n")


@cache
def _compiled() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(chat_template())


def render(messages: list[dict[str, Any]], **options: Any) -> str:
    """The prompt text of ``messages``.

    ``options`` are the template's switches: ``tools``, ``add_generation_prompt``, ``enable_thinking`` (open
    the answer inside a think section) and ``keep_thinking`` (leave the last thoughts in, for training).
    """
    return _compiled().render(messages=messages, **options)

"""How much a model is to think before it answers: on, off, by level or by budget, with what its template knows.

| asked | template with a switch | without |
| --- | --- | --- |
| on | its variable, and the opening tag where the model would write it itself | the opening tag |
| off | its variable; if it opens the reasoning all the same, the closing tag | an empty section |
| level | `reasoning_effort`, where it reads that | a budget of `BUDGETS` |
| budget | `thinking_budget`, where it reads that, and the grammar | the grammar |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from engine.errors import Unsupported
from engine.prompt.thinking import starts_inside, tags_of
from engine.types import Effort, Thinking

if TYPE_CHECKING:
    from engine.prompt.template import Template

BUDGETS: dict[Effort, int | None] = {
    "minimal": 512,
    "low": 1024,
    "medium": 4096,
    "high": 16384,
    "xhigh": 32768,
    "max": None,
}
"""Most tokens of reasoning that a level stands for where the template knows none (gears that Seed-OSS learned)."""

SOFT_SWITCH = "/no_think"
"""The word in a system prompt by which some models, Nemotron's above all, are kept from thinking."""

_COMMON: tuple[Effort, ...] = ("low", "medium", "high")
_NEAREST: dict[Effort, Effort] = {"minimal": "low", "xhigh": "high", "max": "high"}


class ThinkingPlan(Struct, frozen=True, kw_only=True):
    """How one answer begins. `tags` is None where no tags set the reasoning apart."""

    tags: tuple[str, str] | None = None
    inside: bool = False
    """Whether the answer's first word is reasoning."""
    off: bool = False
    by_itself: bool = True
    """Whether the model opens its reasoning by itself, where the prompt did not."""
    budget: int | None = None
    """Most tokens of reasoning."""
    prefill: str = ""
    """What is added to the prompt."""


def thinking_of(template: Template) -> Literal["", "always", "switch", "levels"]:
    """Whether models of this template reason, and whether the template can switch or grade it."""
    if tags_of(template.source) is None and not template.family.channels:
        return ""
    if template.traits.levels:
        return "levels"
    return "switch" if template.traits.switch or template.soft_switch else "always"


def is_off(thinking: Thinking) -> bool:
    """Whether there is to be no reasoning."""
    return thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0


def settled(thinking: Thinking, levels: Callable[[], bool]) -> Thinking:
    """What was asked, in terms of the template: a level it does not know is a budget; a level means on."""
    if is_off(thinking):
        return msgspec.structs.replace(thinking, enabled=False, effort=None, budget=None)
    if thinking.effort is None:
        return thinking
    if levels():
        return msgspec.structs.replace(thinking, enabled=True)
    budgets = [tokens for tokens in (thinking.budget, BUDGETS[thinking.effort]) if tokens is not None]
    return msgspec.structs.replace(thinking, enabled=True, effort=None, budget=min(budgets, default=None))


def switches(thinking: Thinking, source: str) -> dict[str, Any]:
    """The variables by which templates switch reasoning; what was not said is left to the template."""
    found: dict[str, Any] = {}
    if thinking.enabled is not None:
        found["enable_thinking"] = found["thinking"] = thinking.enabled
    if thinking.enabled is False:
        found["thinking_budget"] = 0
        found["reasoning_effort"] = "none" if _named("none", source) else "low"
    elif thinking.budget is not None:
        found["thinking_budget"] = thinking.budget
    if thinking.effort is not None:
        known = thinking.effort in _COMMON or _named(thinking.effort, source)
        found["reasoning_effort"] = thinking.effort if known else _NEAREST[thinking.effort]
    return found


def _named(effort: Effort, source: str) -> bool:
    """Whether a template speaks of a level by its name."""
    return f"'{effort}'" in source or f'"{effort}"' in source


def plan(template: Template, prompt: str, thinking: Thinking, *, continued: bool = False) -> ThinkingPlan:
    """How an answer to `prompt`, which `template` made for `thinking`, begins.

    One that is `continued` has begun already. Raises Unsupported where a model that cannot think is asked to.
    """
    thinking = settled(thinking, lambda: template.traits.levels)
    off = thinking.enabled is False
    tags = tags_of(template.source)
    if tags is None:
        if thinking.enabled and not template.family.channels:
            raise Unsupported(
                "This model cannot think before it answers.",
                "Its prompt template knows no section for reasoning.",
                "Leave `thinking` out, or choose another model.",
                param="thinking",
            )
        return ThinkingPlan(off=off, budget=thinking.budget)
    inside = starts_inside(prompt, tags)
    prefill = ""
    if not continued:
        if off:
            prefill = _closing(template, prompt, tags, inside=inside)
        elif thinking.enabled and not inside:
            prefill = _opening(template, prompt, tags)
    return ThinkingPlan(
        tags=tags,
        inside=(inside or bool(prefill)) and not off,
        off=off,
        # Where the template opens it when asked, a model that was not would do so only for want of another way.
        by_itself=not starts_inside(template.traits.thinking_turn, tags),
        budget=thinking.budget,
        prefill=prefill,
    )


def _closing(template: Template, prompt: str, tags: tuple[str, str], *, inside: bool) -> str:
    """What keeps the model from reasoning: the end of the section that the prompt opened, or an empty one."""
    opened, closed = tags
    lined = opened == "<think>"
    if inside:
        return f"\n{closed}\n\n" if prompt.endswith("\n") else closed + ("\n\n" if lined else "")
    if prompt.rstrip().endswith(closed) or template.traits.switch or template.soft_switch:
        return ""
    return f"{opened}\n\n{closed}\n\n" if lined else opened + closed


def _opening(template: Template, prompt: str, tags: tuple[str, str]) -> str:
    """The opening tag, where the prompt has just opened the model's turn and leaves the tag to it."""
    opened, closed = tags
    begins = template.traits.opening
    if not begins or not prompt.endswith(begins) or prompt.rstrip().endswith(closed):
        return ""
    lined = f"{opened}\\n" in template.source or f"{opened}\n" in template.source
    return f"{opened}\n" if lined else opened

"""What is asked of the engine: a `GenerationRequest` from a path of messages and a conversation's controls."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import CachePolicy, GenerationRequest, Message, Thinking, ToolChoice
from tui.asking.pictures import content_of
from tui.screens.chat.conversation import Controls, Node


def build(model: str, path: Sequence[Node], controls: Controls, *, resume: bool = False) -> GenerationRequest:
    """The request that answers `path`; with `resume` its last message, an answer, is written on."""
    return GenerationRequest(
        model=model,
        messages=tuple(_message(node) for node in path if _says_something(node)),
        system=controls.system,
        sampling=dict(controls.sampling),
        max_tokens=controls.max_tokens,
        stop=controls.stop,
        overflow=controls.overflow,
        adapters=controls.adapters,
        thinking=Thinking(enabled=controls.thinking, effort=controls.effort, budget=controls.budget),
        constraint=controls.constraint,
        tools=controls.tools,
        tool_choice=controls.tool_choice if controls.tools else ToolChoice(),
        load=controls.load,
        keep_alive=controls.keep_alive,
        image_max_side=controls.image_max_side,
        backend=controls.backend,
        cache=CachePolicy()
        if controls.cache is None
        else CachePolicy(read=controls.cache, write=controls.cache),
        continue_last=resume,
        client="tui",
        source="tui",
        priority="interactive",
    )


def _says_something(node: Node) -> bool:
    return bool(node.content or node.reasoning or node.tool_calls) or node.role != "assistant"


def _message(node: Node) -> Message:
    return Message(
        role=node.role,
        content=content_of(node.content, node.pictures),
        reasoning=node.reasoning or None,
        tool_calls=tuple(node.tool_calls),
        tool_call_id=node.tool_call_id or None,
        tool_name=node.tool_name or None,
        tool_error=node.tool_error,
    )

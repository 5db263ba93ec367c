"""What is asked of the engine: a `GenerationRequest` from a path of messages and a conversation's controls."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import GenerationRequest, LoadOptions, Message, Thinking
from tui.screens.chat.conversation import Controls, Node


def build(model: str, path: Sequence[Node], controls: Controls, *, resume: bool = False) -> GenerationRequest:
    """The request that answers `path`; with `resume` its last message, an answer, is written on."""
    return GenerationRequest(
        model=model,
        messages=tuple(
            _message(node) for node in path if node.content or node.reasoning or node.role == "user"
        ),
        system=controls.system,
        sampling=dict(controls.sampling),
        max_tokens=controls.max_tokens,
        thinking=Thinking(enabled=controls.thinking),
        load=LoadOptions(context=controls.context),
        continue_last=resume,
        client="tui",
        source="tui",
        priority="interactive",
    )


def _message(node: Node) -> Message:
    return Message(role=node.role, content=node.content, reasoning=node.reasoning or None)

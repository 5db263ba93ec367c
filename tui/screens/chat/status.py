"""What the header and the status bar are told about the conversation on screen."""

from __future__ import annotations

from tui.asking import adapters
from tui.screens.chat.presenter import ChatPresenter
from tui.status import ChatStatus


def status_of(presenter: ChatPresenter, *, following: bool, pending: int) -> ChatStatus:
    """Live figures of the answer in progress, else those of the last answer on the path."""
    conversation = presenter.current
    path = conversation.path()
    running = presenter.running(conversation)
    answer = next(
        (node for node in reversed(path) if node.role == "assistant" and (node.usage or running)), None
    )
    used, total, rate, ttft = 0, 0, None, None
    if running is not None and path and path[-1] is running.generation.node:
        generation = running.generation
        answer = generation.node
        used, total = generation.prompt_tokens + generation.tokens, answer.context
        rate, ttft = generation.rate, generation.ttft_s
    if answer is not None and total == 0:
        before = next((node for node in reversed(path) if node.usage is not None), None)
        if before is not None and before.usage is not None and before.timings is not None:
            used, total = before.usage.total_tokens, before.context
            rate = rate or before.timings.decode_rate(before.usage.completion_tokens)
            ttft = ttft or before.timings.ttft_s or None
    branch = None
    if len(conversation.nodes) > len(path):
        places = (conversation.place(node.id) for node in reversed(path))
        branch = next((place for place in places if place[1] > 1), None)
    return ChatStatus(
        model=presenter.model_of(conversation),
        adapters=""
        if conversation.controls.adapters is None
        else adapters.shown(conversation.controls.adapters) or adapters.BASE,
        title=conversation.title,
        branch=branch,
        context_used=used,
        context_total=total,
        rate=rate,
        ttft_s=ttft,
        follow=following if path else None,
        pending=pending,
    )

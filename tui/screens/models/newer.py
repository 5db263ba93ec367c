"""Whether the hub has something newer than what is here, asked for one model or for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.screen import Screen

from engine.errors import HearthError
from engine.text_safety import plain
from engine.types import NewRevision, PullRequest
from tui.confirm import Confirm

if TYPE_CHECKING:
    from tui.app import HearthApp


async def check(
    app: HearthApp,
    screen: Screen[object],
    repository: str | None,
    model: str,
    tell: Callable[[Sequence[NewRevision]], None],
) -> None:
    """Ask about `repository`, or about all; `tell` gets the answers.

    With a repository of which there is something newer, the person is asked whether `model` shall be pulled anew.
    """
    app.flash(f"Asking the hub about {repository or 'every model'} …", seconds=30)
    try:
        engine = await app.connection.reached()
        answers = await engine.newer_revisions(repository)
    except HearthError as error:
        app.flash("The hub was not asked.", "warning")
        app.show_error(error)
        return
    tell(answers)
    newer = [answer for answer in answers if answer.newer]
    problem = next((answer.problem for answer in answers if answer.problem is not None), None)
    if problem is not None and not newer:
        app.flash("The hub does not say.", "warning")
        app.show_error(HearthError.from_info(problem))
    elif repository is None or not newer:
        app.flash(outcome(answers), "info" if newer else "success")
    else:

        def answered(sure: bool | None) -> None:
            if sure:
                engine.pull(PullRequest(model=model))
                app.flash(f"{model} is pulled anew.")

        app.flash(outcome(answers))
        commits = f"Here is {plain(newer[0].local, 7)}, the hub has {plain(newer[0].remote, 7)}."
        app.push_screen(
            Confirm(f"Pull the newer revision of {plain(repository, 80)}?", commits, default=True), answered
        )


def outcome(answers: Sequence[NewRevision]) -> str:
    """One line about all answers."""
    if not answers:
        return "Nothing here came from the hub."
    newer = sorted({answer.id for answer in answers if answer.newer})
    unknown = sum(answer.problem is not None for answer in answers)
    missing = f" Of {unknown} the hub does not say." if unknown else ""
    if not newer:
        return f"All that the hub knows is up to date.{missing}" if unknown else "Up to date."
    names = ", ".join(plain(name, 60) for name in newer[:3]) + (" …" if len(newer) > 3 else "")
    return f"The hub has newer: {names}.{missing}"

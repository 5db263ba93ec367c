"""What became of an imported file, in a sentence or two."""

from __future__ import annotations

from engine.text_safety import plain
from engine.types import ImportReport
from tui.telling.prompt import count


def told(report: ImportReport) -> str:
    """How many conversations came, grew or were here already; which entries could not be read."""
    new = [each for each in report.conversations if each.added == each.summary.messages]
    grown = [each for each in report.conversations if 0 < each.added < each.summary.messages]
    known = len(report.conversations) - len(new) - len(grown)
    missing = sum(len(each.missing) for each in report.conversations)
    said = [f"{count(len(new), 'conversation')} imported."]
    if grown:
        said.append(f"{count(len(grown), 'conversation')} went on since the last time.")
    if known:
        said.append(f"{known} {'was' if known == 1 else 'were'} here already.")
    if missing:
        said.append(f"{count(missing, 'attachment')} did not come with them: their names stand in the text.")
    if report.refused:
        first = report.refused[0]
        more = f", and {len(report.refused) - 1} more" if len(report.refused) > 1 else ""
        said.append(f"Not read: {plain(first.name, 60)} ({plain(first.why, 120)}){more}.")
    return " ".join(said)

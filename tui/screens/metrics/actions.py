"""What can be done in Metrics."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("metrics.next", "view(1)", "Views", ("right",), show=True),
    Action("metrics.previous", "view(-1)", "Previous view", ("left",)),
    Action("metrics.longer", "span(1)", "Longer", ("plus", "t"), "Show a longer time", show=True),
    Action("metrics.shorter", "span(-1)", "Shorter", ("minus", "T"), "Show a shorter time", show=True),
    Action("metrics.by", "by(1)", "By …", ("b",), "Tell apart by another thing; sort by another phase", show=True),
    Action("metrics.by_before", "by(-1)", "By the one before", ("B",)),
    Action("metrics.open", "open", "Open", ("enter",), "Open the row: show its requests alone, or all about it"),
    Action("metrics.back", "back", "Back", ("escape",), "Go back, or show all requests again"),
    Action("metrics.refresh", "refresh_now", "Read again", ("r",), "Read the metrics again"),
    Action("metrics.write", "write_sql", "SQL", ("s",), "Write a statement", show=True),
    Action("metrics.run", "run_sql", "Run", ("ctrl+r",), "Run the statement", show=True),
    Action("metrics.saved", "saved_sql", "Saved", ("ctrl+f",), "Choose a saved statement", show=True),
    Action("metrics.save", "save_sql", "Save", ("ctrl+s",), "Save the statement under a name"),
    Action("metrics.export", "export", "Export", ("e",), "Export what is shown to a CSV or Parquet file", show=True),
    Action("metrics.copy", "copy_row", "Copy", ("y",), "Copy the highlighted row of Metrics"),
)  # fmt: skip

"""What can be done in Evals."""

from __future__ import annotations

from tui.actions import Action

ACTIONS = (
    Action("evals.new", "new", "New", ("n",), "Evals: begin a run, a bench or a battle", show=True),
    Action("evals.next", "view(1)", "Views", ("right",), show=True),
    Action("evals.previous", "view(-1)", "Previous view", ("left",)),
    Action("evals.open", "open", "Open", ("enter",), show=True),
    Action("evals.back", "back", "Back", ("escape",), "Go back to the list, then to the runs"),
    Action("evals.pause", "pause", "Pause/go on", ("p",), "Pause the run, or go on with it", show=True),
    Action("evals.stop", "stop", "Stop", ("x",), "Stop the run or the bench", show=True),
    Action("evals.compare", "compare", "Compare", ("c",), "Compare the models of the run", show=True),
    Action("evals.mark", "mark", "Mark", ("m",), "Mark a run, to compare others with it"),
    Action("evals.first", "side(0)", "First", ("left_square_bracket",), "Compare: another first model"),
    Action("evals.second", "side(1)", "Second", ("right_square_bracket",), "Compare: another second model"),
    Action("evals.narrow", "narrow", "Narrow", ("f",), "Show all samples, wrong ones, those that differ", show=True),
    Action("evals.diff", "diff", "Diff", ("v",), "Show how the second answer differs from the first", show=True),
    Action("evals.baseline", "baseline", "Baseline", ("b",), "Make the run the baseline of its dataset, or no longer"),
    Action("evals.report", "report", "Report", ("w",), "Write the report of the run"),
    Action("evals.again", "again", "Again", ("r",), "Begin a run with the settings of this one"),
    Action("evals.copy", "copy_detail", "Copy", ("y",), "Copy what is told of the highlighted row"),
    Action("evals.forget", "forget", "Forget", ("d",), "Forget the run"),
    Action("evals.starred", "make_dataset", "Make dataset", ("s",), "Make a dataset of the starred chat messages"),
)  # fmt: skip

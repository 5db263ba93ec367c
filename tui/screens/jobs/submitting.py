"""The dialogue that submits a job: what to ask, whom, in which conversation."""

from __future__ import annotations

from msgspec import Struct
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static, TextArea

from engine.text_safety import clean
from tui.dialogue import Dialogue

_FIELDS = (("model", "Model"), ("system", "System"), ("conversation", "Talk"), ("priority", "Priority"))


class Wanted(Struct, frozen=True, kw_only=True):
    """What was written."""

    prompt: str
    model: str
    system: str = ""
    conversation: str = ""
    priority: int = 0


class SubmitDialogue(Dialogue[Wanted | None]):
    """Closes with what was written; None for escape."""

    HELP = """Write the question, then ctrl+s. `Talk` is the id of a conversation (the list of the chat's export shows
    it) whose history is read and which the answer joins; a new one is begun if there is none of that id. Jobs of higher
    priority go first."""
    DEFAULT_CSS = """
    SubmitDialogue TextArea { height: 7; border: none; background: $panel; padding: 0 1; }
    SubmitDialogue Horizontal { height: 1; margin-top: 1; }
    SubmitDialogue.-short Horizontal { margin-top: 0; }
    SubmitDialogue Label { width: 10; color: $muted; }
    SubmitDialogue Horizontal Input { width: 1fr; }
    SubmitDialogue .problem { color: $error; margin-top: 1; height: auto; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("ctrl+s", "submit", "Submit", priority=True, id="job.submit"),
        Binding("escape", "dismiss", "Cancel", id="job.close"),
        Binding("tab", "field(1)", "Next field", show=False, priority=True, id="job.next"),
        Binding("shift+tab", "field(-1)", "Field before", show=False, priority=True, id="job.previous"),
    ]

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def compose(self) -> ComposeResult:
        """The question, then what goes with it, a line each."""
        with Vertical(classes="dialogue") as box:
            box.border_title = "New job"
            box.border_subtitle = "ctrl+s submit · tab next field · esc cancel"
            yield TextArea(compact=True, tab_behavior="focus", placeholder="What is to be answered", id="ask")
            for name, title in _FIELDS:
                with Horizontal():
                    yield Label(title)
                    yield Input(
                        self._model if name == "model" else "",
                        placeholder={"priority": "0", "system": "none", "conversation": "none"}.get(name, ""),
                        id=f"ask-{name}",
                        select_on_focus=False,
                    )
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Begin with the question."""
        self.set_class(self.app.size.height < 24, "-short")
        self.query_one(".problem").display = False
        self.query_one(TextArea).focus()

    def action_field(self, by: int) -> None:
        """Go to the next field, or the one before."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Close with what is written, if that is enough."""
        said = {name: clean(self.query_one(f"#ask-{name}", Input).value).strip() for name, _ in _FIELDS}
        prompt = clean(self.query_one(TextArea).text).strip()
        priority = said["priority"] or "0"
        if not prompt:
            self._tell("Write what is to be answered.")
        elif not said["model"]:
            self._tell("Name a model.")
        elif not priority.lstrip("+-").isdigit() or abs(int(priority)) > 1000:
            self._tell("The priority is a whole number from -1000 to 1000.")
        else:
            self.dismiss(
                Wanted(
                    prompt=prompt,
                    model=said["model"],
                    system=said["system"],
                    conversation=said["conversation"],
                    priority=int(priority),
                )
            )

    def _tell(self, problem: str) -> None:
        line = self.query_one(".problem", Static)
        line.display = True
        line.update(Content(f"✗ {problem}"))

"""The list over the prompt that offers commands and files while they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.text_safety import plain

MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """`text` replaces the prompt's line from column `start` to the cursor; `note` says what it is."""

    label: str
    text: str
    start: int
    note: str = ""


class CompletionList(OptionList):
    """Shown while it has offers. It never takes the focus; the prompt moves its highlight."""

    can_focus = False

    class Taken(Message):
        """An offer was clicked."""

    def __init__(self) -> None:
        super().__init__(id="completion", markup=False)
        self._offers: list[Offer] = []
        self.display = False

    @property
    def is_open(self) -> bool:
        """Whether anything is offered."""
        return bool(self._offers)

    @property
    def offers(self) -> Sequence[Offer]:
        """What is offered now."""
        return self._offers

    def offer(self, offers: Sequence[Offer]) -> None:
        """Show `offers`; none closes."""
        if list(offers) == self._offers:
            return
        self._offers = list(offers)
        self.display = bool(offers)
        self.clear_options()
        if not offers:
            return
        width = max(len(plain(offer.label, 40)) for offer in offers)
        self.add_options(
            Option(
                Content.assemble(
                    (f"{plain(offer.label, 40):<{width}}", "bold"), (f"   {plain(offer.note, 60)}", "$muted")
                )
            )
            for offer in offers
        )
        self.highlighted = 0
        rows = min(MOST_SHOWN, len(offers))
        self.styles.height = rows
        self.styles.offset = (0, -rows)

    def close(self) -> None:
        """Offer nothing."""
        self.offer(())

    def move(self, by: int) -> None:
        """Move the highlight, around the ends."""
        self.highlighted = ((self.highlighted or 0) + by) % len(self._offers)

    def takes_enter(self, text: str) -> bool:
        """Whether enter takes the offer instead of sending: unless it is typed out already."""
        offer = self._offers[self.highlighted or 0]
        return text[offer.start :].rstrip() != offer.text.rstrip()

    def take(self) -> Offer | None:
        """The highlighted offer; closes."""
        if not self._offers:
            return None
        offer = self._offers[self.highlighted or 0]
        self.close()
        return offer

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click takes it."""
        event.stop()
        self.post_message(self.Taken())

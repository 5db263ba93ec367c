"""The models that the page offers: those of the lists that every dialect has, as far as `web.models` lets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from engine.errors import NotAllowed
from engine.text_safety import plain

if TYPE_CHECKING:
    from api.dialects.listing import Listing
    from api.hub import Hub


class Choice(Struct, frozen=True, kw_only=True):
    """A name that may be chosen. `kind`: model, adapter or alias."""

    name: str
    kind: str
    words: str = ""
    """What is to be known of it."""
    sees: bool = False
    """Whether it can be shown pictures."""


async def choices(hub: Hub, listing: Listing) -> list[Choice]:
    """All of them, models first; in the order of the lists."""
    found = []
    for one in await listing.all():
        if not allowed(hub, one.id):
            continue
        kind = "alias" if one.alias is not None else "adapter" if one.adapter else "model"
        words = one.alias.description if one.alias is not None else ""
        if not words:
            entry = one.entry
            words = " · ".join(each for each in (entry.architecture, entry.quantisation) if each)
        found.append(
            Choice(name=one.id, kind=kind, words=plain(words, 120), sees="image" in one.entry.modalities)
        )
    return found


def allowed(hub: Hub, name: str) -> bool:
    """Whether the page may use the model of that name; an adapter of one that it may, it may too."""
    wanted = name.strip().lower().removesuffix(":latest")
    offered = [each.lower() for each in hub.settings.web.models]
    return not offered or any(wanted == each or wanted.startswith(f"{each}:") for each in offered)


def chosen(hub: Hub, name: str) -> str:
    """The model that a page asks for, or the default one. Raises ModelNotFound, InvalidRequest, NotAllowed."""
    wanted = name.strip() or usual(hub)
    found = hub.model(wanted)
    if not allowed(hub, wanted):
        raise NotAllowed(
            f"The web page does not offer {plain(wanted, 80)!r}.",
            "`web.models` names the models that it does.",
            "Choose one of them.",
            param="model",
        )
    return found


def usual(hub: Hub) -> str:
    """The model that is chosen where nobody chose: the default one, else the first that is offered."""
    default = hub.settings.models.default
    return default if allowed(hub, default) or not hub.settings.web.models else hub.settings.web.models[0]

"""Adapters by the numbers that `GET /lora-adapters` gives them, as llama-server's clients ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.answering.call import Call
from engine.errors import InvalidRequest

if TYPE_CHECKING:
    from api.dialects.listing import Listing


async def name_adapters(call: Call, listing: Listing) -> None:
    """Write names for the numbers in the field `lora`. Raises InvalidRequest for one that is none."""
    asked = call.fields.any("lora")
    if not isinstance(asked, list) or not any(_number(each) is not None for each in asked):
        return
    model = call.hub.model(call.named or call.hub.settings.models.default)
    listed = await listing.find(model) or await listing.find(model.rpartition(":")[0])
    names = listed.entry.adapters if listed is not None else ()
    found = []
    for each in asked:
        number = _number(each)
        if number is None:
            found.append(each)
        elif number < len(names):
            found.append({"name": names[number], "scale": each.get("scale", 1.0)})
        else:
            raise InvalidRequest(
                f"There is no adapter {number}.",
                f"The model has {len(names)}.",
                "`GET /lora-adapters` lists them.",
                param="lora",
            )
    call.fields.put("lora", found)


def _number(value: object) -> int | None:
    """The number of an adapter in the list, if that is what `value` names it by."""
    number = value.get("id") if isinstance(value, dict) else None
    return number if type(number) is int and number >= 0 else None

"""What goes wrong between two Hearths, in words: no answer, another program, a key that will not do."""

from __future__ import annotations

import msgspec

from engine.errors import ErrorInfo, HearthError, ModelUnavailable, NotAllowed, Unsupported
from engine.remote.address import Address
from engine.text_safety import plain


def lost(address: Address, why: str) -> ModelUnavailable:
    """The connection broke, or was never there."""
    return ModelUnavailable(
        f"The Hearth at {address.name} cannot be reached.",
        f"{plain(why, 200).rstrip('.')}.",
        "Check that it runs (`hearth status` there) and that the network is up; then try again.",
    )


def refusal(address: Address, status: int, body: bytes) -> HearthError:
    """The error that an answer with `status` stands for: the engine's own where the body holds one."""
    try:
        info = msgspec.json.decode(body, type=ErrorInfo)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _of_status(address, status)
    if status in (401, 403):
        return NotAllowed(info.what, info.why, _key(address))
    return HearthError.from_info(info)


def foreign(address: Address, detail: str = "") -> Unsupported:
    """Something answers that does not speak as this version does."""
    return Unsupported(
        f"What listens at {address.name} does not speak this Hearth's language.",
        plain(detail, 200) or "It may be another program, or another version of Hearth.",
        "Run the same version of Hearth on both sides.",
    )


def _of_status(address: Address, status: int) -> HearthError:
    if status in (401, 403):
        return NotAllowed(f"The Hearth at {address.name} asks for a key.", fix=_key(address))
    if status in (502, 503, 504):
        return lost(address, f"It answers with status {status}")
    return foreign(address, f"It answers with status {status}.")


def _key(address: Address) -> str:
    said = "Give another key" if address.key else "Give one"
    return f"{said} in HEARTH_KEY or --key-file; `hearth keys create NAME --scopes admin` makes it on that machine."

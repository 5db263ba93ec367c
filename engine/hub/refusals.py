"""What the hub's refusals mean, and what a person can do about each.

The hub says 401 for what is missing and for what is private alike, so the words name both; X-Error-Code tells gated
repositories apart. Retry-After and the draft header RateLimit say when it may go better.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Final

from engine.errors import HearthError, HubUnavailable, ModelNotFound, NotAllowed, PullFailed
from engine.hub.access import Access
from engine.text_safety import plain

RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
LONGEST_WAIT: Final = 3600.0
_RATE: Final = re.compile(r"\br=0\b.*?\bt=(\d{1,6})\b")


def refusal(
    status: int,
    headers: Mapping[str, str],
    access: Access,
    repository: str,
    revision: str = "",
    path: str = "",
) -> HearthError:
    """The error for an answer of `status` about `repository`, or about nothing in particular."""
    code = headers.get("x-error-code", "")
    said = plain(headers.get("x-error-message", ""), 200)
    page = f"{access.endpoint}/{repository}"
    if status in RETRIED:
        wait = retry_after(headers)
        what = (
            "The hub has had too many requests."
            if status == 429
            else f"The hub is in trouble (status {status})."
        )
        when = f"Try again in {wait:.0f} s" if wait else "Try again later"
        more = (
            "; who is logged in may ask more often: set HF_TOKEN"
            if status == 429 and not access.token
            else ""
        )
        return HubUnavailable(what, said, f"{when}{more}.", retry_after_s=wait)
    if code == "GatedRepo" or (status == 403 and "gated" in said.lower()):
        return NotAllowed(
            f"{repository} is gated: its owner wants to know who uses it.",
            said,
            f"Ask for access at {page}, then "
            + (
                "wait for the approval of the account that your token belongs to."
                if access.token
                else "set HF_TOKEN to a token of that account (or run `hf auth login`)."
            ),
            param="model",
        )
    if code == "RevisionNotFound":
        return ModelNotFound(
            f"{repository} has no revision {plain(revision, 60)!r}.",
            fix=f"Its branches and tags are at {page}/tree/main.",
            param="model",
        )
    if code == "EntryNotFound" or (status == 404 and path and code != "RepoNotFound"):
        return ModelNotFound(
            f"{repository} has no file {plain(path, 120)}.", fix=f"See {page}.", param="model"
        )
    if status == 401 and said.startswith("Invalid credentials"):
        return NotAllowed(
            "The hub does not know your token.",
            said,
            "Make a new one at the hub's settings, and set HF_TOKEN to it.",
        )
    if status in (401, 404) and repository:
        return ModelNotFound(
            f"The hub has no model {repository!r} that you may see.",
            "It does not exist, or it is private"
            + (" and your token has no right to it." if access.token else " and no token is set."),
            f"Check the name (`hearth search {repository.rpartition('/')[2]}`); for a private repository set HF_TOKEN "
            "to a token that may read it.",
            param="model",
        )
    if status == 403:
        return NotAllowed(
            f"The hub does not let you have {repository or 'that'}.", said, f"See {page}.", param="model"
        )
    return PullFailed(f"The hub answered with status {status}.", said, "Try again later.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the hub asks to wait: at most an hour; None if it does not say."""
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return min(float(said[:9]), LONGEST_WAIT)
    if said and (moment := email.utils.parsedate_tz(said)) is not None:
        return min(max(0.0, email.utils.mktime_tz(moment) - time.time()), LONGEST_WAIT)
    match = _RATE.search(headers.get("ratelimit", "")[:200].replace(" ", ""))
    return min(float(match[1]), LONGEST_WAIT) if match else None


def offline(what: str) -> HubUnavailable:
    """The refusal to reach for the hub at all."""
    return HubUnavailable(
        f"{what} needs the hub, and Hearth is set to stay offline.",
        "hub.offline or HF_HUB_OFFLINE is set.",
        "Unset it; what is on this machine works without.",
    )


class Unreachable(HubUnavailable):
    """The hub did not answer at all."""


def unreachable(access: Access, why: str) -> Unreachable:
    """The error for a hub that did not answer."""
    return Unreachable(
        f"The hub at {plain(access.endpoint, 80)} cannot be reached.",
        f"{plain(why, 200).rstrip('.')}.",
        "Check the network, and hub.endpoint or HF_ENDPOINT; what is on this machine works without.",
    )

"""Which paths are the web page's: those that a browser opens, and that a session's cookie counts for."""

from __future__ import annotations

from typing import Final

LOGIN: Final = "/chat/login"
CONVERSATIONS: Final = "/chat/conversations"
JOBS_PAGE: Final = "/chat/jobs"
ASK: Final = "/chat/ask"
LOGOUT: Final = "/chat/logout"
STATIC: Final = "/chat/static/"
CSRF_HEADER: Final = "x-hearth-csrf"
"""What a signed-in page sends with whatever changes something."""
_UNDER: Final = tuple(f"{each}/" for each in (CONVERSATIONS, JOBS_PAGE, ASK))


def is_page(path: str) -> bool:
    """Whether the web page answers there. `GET /` is not among them: programs ask it too."""
    return path in (LOGIN, CONVERSATIONS, JOBS_PAGE, ASK, LOGOUT) or path.startswith((STATIC, *_UNDER))


def is_open_page(path: str) -> bool:
    """Whether it is one that everybody may have: where one signs in, and what pages are drawn with."""
    return path == LOGIN or path.startswith(STATIC)

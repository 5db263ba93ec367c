"""Where the hub is, who asks, where files go: from the settings and the variables of the Hugging Face libraries.

Their rules hold, so that what `hf auth login` and other programs have set up works here too: HF_ENDPOINT, HF_TOKEN,
HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DISABLE_IMPLICIT_TOKEN.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from engine.errors import InvalidSettings
from engine.settings import Settings
from engine.text_safety import plain

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_TRUE: Final = frozenset({"1", "on", "yes", "true"})


class Access(Struct, frozen=True, kw_only=True):
    """`token` is a secret: it is shown nowhere and sent to `endpoint` alone."""

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = None
    cache: Path
    """The folder that holds `models--org--name`."""
    offline: bool = False
    download_hosts: tuple[str, ...] = ()
    """Hosts that the endpoint may send downloads to, beside its own and those of Hugging Face."""
    trusted_code: tuple[str, ...] = ()
    """Revisions whose Python files are fetched too: `org/name@<commit>`."""

    def __repr__(self) -> str:
        return f"Access({self.endpoint}, {'a' if self.token else 'no'} token, {self.cache})"


def access_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> Access:
    """The access that the settings ask for, `environ` where they are silent. Raises InvalidSettings."""
    endpoint = settings.hub.endpoint or environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    if not endpoint.startswith(("https://", "http://")) or any(mark in endpoint for mark in "@?#\\"):
        raise InvalidSettings(
            f"The hub's address cannot be used: {plain(endpoint, 80)!r}.",
            "It has to begin with https:// or http://, and must name no user.",
            "Set hub.endpoint, or the variable HF_ENDPOINT.",
        )
    return Access(
        endpoint=endpoint.rstrip("/"),
        token=_token(environ),
        cache=cache_folder(environ),
        offline=settings.hub.offline
        or any(environ.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
        download_hosts=settings.hub.download_hosts,
        trusted_code=settings.hub.trust_remote_code,
    )


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of models that all Hugging Face libraries share; it need not exist."""
    said = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    return _path(said, environ) if said else _home(environ) / "hub"


def _home(environ: Mapping[str, str]) -> Path:
    said = environ.get("HF_HOME")
    if said:
        return _path(said, environ)
    base = environ.get("XDG_CACHE_HOME") or str(_user(environ) / ".cache")
    return _path(base, environ) / "huggingface"


def _token(environ: Mapping[str, str]) -> str | None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := _clean(environ.get(name, "")):
            return token
    if environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in _TRUE:
        return None
    said = environ.get("HF_TOKEN_PATH")
    file = _path(said, environ) if said else _home(environ) / "token"
    try:
        return _clean(file.read_text(encoding="utf-8")) or None
    except (OSError, UnicodeDecodeError):
        return None


def _clean(token: str) -> str:
    """A token as it may stand in a header; empty for what cannot be one."""
    token = token.replace("\r", "").replace("\n", "").strip()
    return token if token.isascii() and token.isprintable() and len(token) <= 1000 else ""


def _path(text: str, environ: Mapping[str, str]) -> Path:
    """`text` with variables and the home folder filled in, as those libraries do."""
    if text == "~" or text.startswith("~/"):
        text = str(_user(environ)) + text[1:]
    return Path(os.path.abspath(os.path.expandvars(text)))


def _user(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or os.path.expanduser("~"))

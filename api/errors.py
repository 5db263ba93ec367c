"""Errors as each dialect writes them, and those that only a server can meet.

One `HearthError` becomes one of these bodies; the status is the error's own, but where a dialect has another:

| dialect   | body                                                              |
| --------- | ----------------------------------------------------------------- |
| ollama    | `{"error": text}`                                                 |
| openai    | `{"error": {message, type, param, code}}`                         |
| llama     | the same, with the status as `code`                               |
| anthropic | `{"type": "error", "error": {type, message}, "request_id"}`       |
| hub       | `{"detail": text, "error": code}`                                 |
| web       | the same; a browser gets a page (`api.web.refusals`)              |
| hearth    | the `ErrorInfo` as it is                                          |
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

import msgspec

from api.security.pages import is_page
from engine.errors import ErrorInfo, HearthError, InternalError

Dialect = Literal["ollama", "openai", "anthropic", "llama", "hub", "web", "hearth"]


class Unauthorized(HearthError):
    code = "unauthorized"
    http_status = 401


class SignInNeeded(Unauthorized):
    """A page of the web page that is shown to those alone who signed in."""

    code = "sign_in_needed"


class NoRoute(HearthError):
    code = "no_route"
    http_status = 404


class WrongMethod(HearthError):
    code = "wrong_method"
    http_status = 405


class TooLarge(HearthError):
    code = "too_large"
    http_status = 413


class UnknownEncoding(HearthError):
    code = "unknown_encoding"
    http_status = 415


class Unprocessable(HearthError):
    """Well formed, and nothing that could be answered."""

    code = "unprocessable"
    http_status = 422


class TooSlow(HearthError):
    code = "too_slow"
    http_status = 408


class RateLimited(HearthError):
    code = "rate_limited"
    http_status = 429
    retryable = True


class Cancelled(HearthError):
    code = "cancelled"
    http_status = 499


class NotHere(HearthError):
    """Part of a protocol that Hearth does not have."""

    code = "not_here"
    http_status = 501


_ANTHROPIC = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
_OPENAI = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 422: "unprocessable_entity_error",
    429: "rate_limit_error", 501: "not_supported_error", 503: "service_unavailable",
}  # fmt: skip
_OPENAI_CODES = {"context_overflow": "context_length_exceeded", "unauthorized": "invalid_api_key"}
_FIGURES = re.compile(r"([\d,]*\d) tokens, and there is room for ([\d,]*\d)")
_ABILITIES = {
    "fill-in-the-middle": "insert",
    "the middle of a text": "insert",
    "see images": "vision",
    "no embeddings": "embedding",
    "cannot generate text": "chat",
}
"""What is said of an ability that is missing, and Ollama's word for it, which clients look for."""
_LLAMA = {**_OPENAI, 503: "unavailable_error"}


@lru_cache(maxsize=256)
def dialect_of(path: str, *, anthropic: bool = False) -> Dialect:
    """The dialect of a path; `anthropic` says that the client named itself as one, for paths that are shared."""
    if path.startswith("/api/") or path == "/api":
        return "ollama"
    if path.startswith("/hearth/"):
        return "hearth"
    if is_page(path):
        return "web"
    if "/messages" in path or path.startswith("/anthropic"):
        return "anthropic"
    if path.startswith("/v1/models") and anthropic:
        return "anthropic"
    head = path.strip("/").partition("/")[0]
    if head in ("v1", "models", "completions", "embeddings", "responses") or path.startswith(
        "/chat/completions"
    ):
        return "openai"
    if head in (
        "chat",
        "adapters",
        "hardware",
        "requests",
        "health",
        "healthz",
        "",
        "docs",
        "openapi.json",
        "ws",
    ):
        return "hub"
    return "llama"


def status_of(error: ErrorInfo, dialect: Dialect) -> int:
    """The HTTP status under which `dialect` sends `error`."""
    if dialect == "ollama" and error.http_status == 429:
        return 503
    if dialect == "anthropic" and error.http_status == 503:
        return 529
    return error.http_status


def body_of(error: ErrorInfo, dialect: Dialect, *, model: str = "", request_id: str = "") -> Any:
    """The JSON of `error` in `dialect`; `model` is the name that the client asked for."""
    status = status_of(error, dialect)
    text = _text(error, dialect, model)
    match dialect:
        case "ollama":
            return {"error": text}
        case "anthropic":
            kind = _ANTHROPIC.get(status, "invalid_request_error" if status < 500 else "api_error")
            return {"type": "error", "error": {"type": kind, "message": text}, "request_id": request_id}
        case "openai":
            kind = _OPENAI.get(status, "invalid_request_error" if status < 500 else "server_error")
            code = _OPENAI_CODES.get(error.code, error.code)
            return {"error": {"message": text, "type": kind, "param": error.param, "code": code}}
        case "llama":
            kind = _LLAMA.get(status, "invalid_request_error" if status < 500 else "server_error")
            if error.code == "context_overflow":
                kind = "exceed_context_size_error"
            return {"error": {"code": status, "message": text, "type": kind}}
        case "hub" | "web":
            return {"detail": text, "error": error.code}
        case "hearth":
            return error


def headers_of(error: ErrorInfo, dialect: Dialect) -> list[tuple[bytes, bytes]]:
    """When to come back, and whether that is any use: client libraries try 5xx again unless told otherwise."""
    found: list[tuple[bytes, bytes]] = []
    status = status_of(error, dialect)
    if status in (429, 503, 529):
        wait = 1.0 if error.retry_after_s is None else max(1.0, error.retry_after_s)
        found.append((b"retry-after", str(round(wait)).encode()))
    if status == 401 and dialect != "web":
        found.append((b"www-authenticate", b"Bearer"))
    if status >= 500 and not error.retryable:
        found.append((b"x-should-retry", b"false"))
    return found


def encoded(error: ErrorInfo, dialect: Dialect, *, model: str = "", request_id: str = "") -> bytes:
    """`body_of` as JSON."""
    return msgspec.json.encode(body_of(error, dialect, model=model, request_id=request_id))


def defect(error: BaseException) -> ErrorInfo:
    """What a client is told of a defect: its kind, nothing of its inside."""
    return InternalError(
        "Hearth met a defect of its own.", f"{type(error).__name__}.", "Its log has the details."
    ).info


def _text(error: ErrorInfo, dialect: Dialect, model: str) -> str:
    if (
        error.code == "model_not_found"
        and model
        and dialect == "ollama"
        and not error.what.startswith("model ")
    ):
        return f"model '{model}' not found. {error.sentence()}"
    if error.code == "unsupported" and model and dialect == "ollama":
        missing = next((word for part, word in _ABILITIES.items() if part in error.what), None)
        if missing is not None:
            return f'"{model}" does not support {missing}. {error.sentence()}'
    if error.code == "context_overflow":
        # Agents look for these words.
        if dialect == "anthropic":
            figures = _FIGURES.search(error.what)
            said = f"{figures[1]} tokens > {figures[2]} maximum. ".replace(",", "") if figures else ""
            return f"prompt is too long: {said}{error.sentence()}"
        if dialect == "ollama":
            return f"the input length exceeds the context length. {error.sentence()}"
    if error.code == "queue_full" and dialect == "ollama":
        return f"server busy, please try again. maximum pending requests exceeded. {error.sentence()}"
    if error.code == "unauthorized" and dialect == "ollama":
        return f"unauthorized: {error.sentence()}"
    return error.sentence()

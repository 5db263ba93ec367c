"""The OpenAPI 3.1 document of a set of routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from api import errors
from api.openapi.operation import Operation
from api.openapi.operations import operation_of
from api.security.keyring import SCOPES
from api.security.routes import need
from engine.errors import ErrorInfo

_PARAMETER: Final = re.compile(r"\{(\w+):(\w+)\}")
_REF: Final = "#/components/schemas/{name}"
_TAGS: Final = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "ollama": "Ollama",
    "llama": "llama-server",
    "hub": "The hub's",
    "hearth": "Native",
}
_TEXT: Final = {"type": "string"}
_ERRORS: Final[dict[str, dict[str, Any]]] = {
    "ollama": {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]},
    "openai": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
                "required": ["message", "type", "param", "code"],
            }
        },
        "required": ["error"],
    },
    "anthropic": {
        "type": "object",
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "properties": {"type": _TEXT, "message": _TEXT},
                "required": ["type", "message"],
            },
            "request_id": _TEXT,
        },
        "required": ["type", "error"],
    },
    "llama": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {"code": {"type": "integer"}, "message": _TEXT, "type": _TEXT},
                "required": ["code", "message", "type"],
            }
        },
        "required": ["error"],
    },
    "hub": {
        "type": "object",
        "properties": {"detail": _TEXT, "error": _TEXT},
        "required": ["detail", "error"],
    },
}


def document(handlers: Sequence[Any]) -> dict[str, Any]:
    """What `handlers`, Litestar's route handlers, answer to."""
    found = sorted(_operations(handlers), key=lambda each: (each[1], each[0]))
    schemas, components = _schemas([operation for *_, operation in found])
    components["NativeError"] = msgspec.json.schema(ErrorInfo, ref_template=_REF)["$defs"]["ErrorInfo"]
    components |= {f"{name.capitalize()}Error": schema for name, schema in _ERRORS.items()}
    paths: dict[str, dict[str, Any]] = {}
    for method, path, handler, operation in found:
        described = _described(method, path, handler, operation, schemas)
        paths.setdefault(_PARAMETER.sub(r"{\1}", path), {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hearth",
            "version": version("hearth"),
            "description": "One engine, in the words of Ollama, OpenAI, Anthropic, llama-server and its own. Bodies "
            "are read as JSON whatever their Content-Type says; a field that is not known is let pass and named in "
            "the header x-hearth-ignored.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A key; scopes are {', '.join(SCOPES)}. Programs of this machine need none "
                    "for what is not Hearth's own, unless settings say so.",
                },
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operations(handlers: Sequence[Any]) -> Iterator[tuple[str, str, Any, Operation]]:
    for handler in handlers:
        for path in handler.paths:
            for method in getattr(handler, "http_methods", ()):  # OpenAPI has no word for sockets
                if method == "OPTIONS":
                    continue
                operation = operation_of(method, path)
                if operation is None:
                    body = dict[str, Any] if method in ("POST", "PUT", "PATCH") else None
                    operation = Operation(body=body, answer=dict[str, Any])
                yield method, path, handler, operation


def _schemas(operations: Sequence[Operation]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """The schema of every type that operations name, by the type, and the components that these refer to."""
    types: dict[str, Any] = {}
    for operation in operations:
        for each in (*_several(operation.body), *operation.also, *_several(operation.answer)):
            types[repr(each)] = each
    found, components = msgspec.json.schema_components(types.values(), ref_template=_REF)
    return dict(zip(types, found, strict=True)), components


def _several(kind: Any) -> tuple[Any, ...]:
    if kind is None:
        return ()
    return kind if isinstance(kind, tuple) else (kind,)


def _described(
    method: str, path: str, handler: Any, operation: Operation, schemas: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    dialect = errors.dialect_of(_PARAMETER.sub("x", path))
    text = " ".join((handler.fn.__doc__ or "").split())
    first, _, rest = text.partition(". ")
    scope = need(method, _PARAMETER.sub("x", path))
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', path)}".rstrip("_"),
        "summary": first.rstrip("."),
        "tags": [_TAGS[dialect]],
        "security": [] if scope == "nothing" else [{}, {"bearer": []}, {"header": []}],
        "x-hearth-scope": scope,
        "responses": _responses(method, dialect, operation, schemas),
    }
    if scope == "admin":
        found["security"].pop(0)
    if rest:
        found["description"] = rest
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _TEXT,
            **({"description": "May hold slashes and colons."} if kind == "path" else {}),
        }
        for name, kind in _PARAMETER.findall(path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": _TEXT}
        for name, text in operation.query.items()
    ]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None and method not in ("GET", "HEAD"):
        media = "application/octet-stream" if operation.body is bytes else "application/json"
        schema = _one_of(operation.body, schemas)
        if operation.also:
            schema = {"allOf": [schema, *(_one_of(each, schemas) for each in operation.also)]}
        found["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return found


def _responses(
    method: str, dialect: str, operation: Operation, schemas: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    error = _REF.format(name="NativeError" if dialect == "hearth" else f"{dialect.capitalize()}Error")
    refused = {"description": "Refused.", "content": {"application/json": {"schema": {"$ref": error}}}}
    if method == "HEAD":
        refused = {"description": "Refused."}
    if operation.refuses:
        return {str(operation.refuses): {**refused, "description": "Always."}, "4XX": refused}
    content: dict[str, Any] = {}
    if operation.answer is not None and method != "HEAD":
        schema = _one_of(operation.answer, schemas)
        if not operation.stream_only:
            content[operation.media] = {"schema": schema if operation.answer is not bytes else _TEXT}
        if operation.streams:
            told = {"type": "string", "description": "Piece by piece."}
            content[operation.streams.partition(";")[0]] = {"schema": told, "x-hearth-item": schema}
    answered: dict[str, Any] = {"description": "The answer."}
    if content:
        answered["content"] = content
    return {str(operation.status): answered, "4XX": refused, "5XX": refused}


def _one_of(kind: Any, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    found = [schemas[repr(each)] for each in _several(kind)]
    return found[0] if len(found) == 1 else {"anyOf": found}

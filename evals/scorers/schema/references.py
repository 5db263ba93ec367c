"""Where `$ref` leads within one schema document: identifiers, anchors and JSON pointers (RFC 6901)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

_PLACES_OF_DATA = frozenset({"const", "enum", "default", "examples"})
"""What is under these looks like a schema at times, and is none."""


class SchemaUnusable(ValueError):
    """Why a schema cannot be used."""


class References:
    """The addresses of one document."""

    def __init__(self, root: Any) -> None:
        self._named: dict[str, Any] = {"": root}
        self._bases: dict[int, str] = {}
        self.dynamic: dict[str, dict[str, Any]] = {}
        """By base, the `$dynamicAnchor`s of that resource."""
        self._collect(root, "", by_schema=True)

    def base(self, schema: Any) -> str:
        """The base address that holds in `schema`."""
        return self._bases.get(id(schema), "")

    def resolve(self, reference: str, base: str) -> Any:
        """The schema at `reference`, read in a place whose base is `base`. Raises SchemaUnusable."""
        # `urljoin` knows no URN, in which a fragment alone stays within the document all the same.
        whole = base + reference if reference.startswith("#") else urljoin(base, reference)
        address, fragment = urldefrag(whole)
        if not fragment or fragment.startswith("/"):
            if address not in self._named:
                raise SchemaUnusable(f"it refers to {reference!r}, which is not in it")
            return self._pointed(self._named[address], fragment, reference)
        found = self._named.get(f"{address}#{fragment}", self)
        if found is self:
            raise SchemaUnusable(f"it refers to {reference!r}, which is not in it")
        return found

    def _pointed(self, schema: Any, pointer: str, reference: str) -> Any:
        for part in pointer.split("/")[1:] if pointer else ():
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                schema = schema[int(key)] if isinstance(schema, list) else schema[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaUnusable(f"it refers to {reference!r}, which is not in it") from None
        return schema

    def _collect(self, node: Any, base: str, *, by_schema: bool) -> None:
        if isinstance(node, list):
            for each in node:
                self._collect(each, base, by_schema=True)
            return
        if not isinstance(node, dict):
            return
        if by_schema and isinstance(node.get("$id"), str):
            base = urldefrag(urljoin(base, node["$id"]))[0]
            self._named[base] = node
        self._bases[id(node)] = base
        for kind in ("$anchor", "$dynamicAnchor"):
            if by_schema and isinstance(node.get(kind), str):
                self._named[f"{base}#{node[kind]}"] = node
        if by_schema and isinstance(node.get("$dynamicAnchor"), str):
            self.dynamic.setdefault(base, {})[node["$dynamicAnchor"]] = node
        for key, value in node.items():
            if by_schema and key in _PLACES_OF_DATA:
                continue
            # Beneath these a key is a name of the author's, and its value is the schema.
            names = key in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
            self._collect(value, base, by_schema=not (by_schema and names))

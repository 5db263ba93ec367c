"""The table of routes in `docs/api.md`, written from the app: `python -m api.openapi.table docs/api.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from api.openapi.document import document

BEGIN: Final = "<!-- routes: written by `python -m api.openapi.table docs/api.md` -->"
END: Final = "<!-- end of routes -->"
_STREAMS: Final = {"text/event-stream": "events", "application/x-ndjson": "lines"}


def table(told: dict[str, Any]) -> str:
    """The routes of an OpenAPI document, a table for each protocol."""
    return "\n".join(line for tag in told["tags"] for line in _of(tag["name"], told["paths"]))


def written(page: str, routes: str) -> str:
    """`page` with `routes` between the marks. Raises ValueError where they are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the routes")
    return f"{before}{BEGIN}\n\n{routes}\n{END}{after}"


def _of(tag: str, paths: dict[str, dict[str, Any]]) -> Iterator[str]:
    # Paths that do the same stand together: they are other places of one handler.
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for path, methods in paths.items():
        for method, told in methods.items():
            if method == "head" or tag not in told["tags"]:
                continue
            forms = [
                word
                for status, answer in told["responses"].items()
                if status.startswith("2")
                for media, word in _STREAMS.items()
                if media in answer.get("content", {})
            ]
            scope = told["x-hearth-scope"].replace("nothing", "")
            rows.setdefault((method.upper(), told["summary"], scope, ", ".join(forms)), []).append(path)
    if not rows:
        return
    yield from (f"### {tag}", "", "| | | needs | streams |", "| --- | --- | --- | --- |")
    for (method, summary, scope, streams), places in rows.items():
        named = ", ".join(f"`{path}`" for path in sorted(places, key=lambda path: (len(path), path)))
        yield f"| {method} {named} | {summary} | {scope} | {streams} |".replace("||", "|")
    yield ""


def main() -> int:
    """Write the table into the page that is named, or print it."""
    from api.dialects import routes

    routes_now = table(document(routes()))
    if len(sys.argv) < 2:
        print(routes_now)
        return 0
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(), routes_now))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

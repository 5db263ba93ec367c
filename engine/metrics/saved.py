"""Statements under names: those that come with Hearth, and a person's own, in a JSON file that people can edit."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.errors import InvalidRequest
from engine.paths import Paths
from engine.store.registry import Registry
from engine.types import SavedQuery

MOST: Final = 200
SHIPPED: Final = tuple(
    SavedQuery(name=name, sql=sql, shipped=True)
    for name, sql in (
        (
            "slowest first tokens",
            "SELECT time, model, client, round(ttft_ms) AS ttft_ms, round(queue_ms) AS queue_ms,\n"
            "    round(load_ms) AS load_ms, prompt_tokens, cached_tokens\n"
            "FROM requests WHERE ttft_ms > 0 ORDER BY requests.ttft_ms DESC LIMIT 50",
        ),
        (
            "tokens by day",
            "SELECT time::DATE AS day, count(*) AS requests, sum(completion_tokens) AS written,\n"
            '    sum(prompt_tokens - cached_tokens) AS "read", sum(cached_tokens) AS cached\n'
            "FROM requests GROUP BY day ORDER BY day DESC",
        ),
        (
            "errors",
            "SELECT error_code, model, count(*) AS requests, max(time) AS last\n"
            "FROM requests WHERE reason = 'failed' GROUP BY ALL ORDER BY requests DESC",
        ),
        (
            "gaps between tokens",
            "SELECT model, count(*) AS gaps, round(quantile_cont(gap, 0.5) / 100, 2) AS p50_ms,\n"
            "    round(quantile_cont(gap, 0.99) / 100, 2) AS p99_ms\n"
            "FROM (SELECT model, unnest(gaps) AS gap FROM requests WHERE time > now()::TIMESTAMP - INTERVAL 1 DAY)\n"
            "GROUP BY model ORDER BY gaps DESC",
        ),
        (
            "prompt length and speed",
            "SELECT (prompt_tokens // 1000) * 1000 AS prompt_from, count(*) AS requests,\n"
            "    round(sum(prompt_tokens - cached_tokens) / sum(prefill_ms) * 1000, 1) AS read_per_s,\n"
            "    round(avg(decode_ms / nullif(completion_tokens - 1, 0)), 2) AS ms_per_token\n"
            "FROM requests WHERE prefill_ms > 0 GROUP BY 1 ORDER BY 1",
        ),
        (
            "loads, predicted and real",
            "SELECT time, model, backend, round(load_ms / 1000, 2) AS load_s,\n"
            "    round(predicted_bytes / 2**30, 2) AS predicted_gib, round(actual_bytes / 2**30, 2) AS actual_gib\n"
            "FROM model_events WHERE state = 'loaded' ORDER BY time DESC LIMIT 100",
        ),
        (
            "guesses that were right",
            "SELECT model, sum(draft_accepted) AS accepted, sum(draft_rejected) AS rejected,\n"
            "    round(sum(draft_accepted) / nullif(sum(draft_accepted + draft_rejected), 0), 3) AS share\n"
            "FROM requests WHERE draft_accepted + draft_rejected > 0 GROUP BY model ORDER BY accepted DESC",
        ),
        ("jobs", "SELECT * FROM jobs ORDER BY time DESC LIMIT 100"),
        ("evals", "SELECT * FROM evals ORDER BY time DESC LIMIT 100"),
        ("benches", "SELECT * FROM bench ORDER BY time DESC LIMIT 100"),
    )
)
_NAMES: Final = frozenset(query.name for query in SHIPPED)


class _Record(Struct, frozen=True):
    """A statement as it lies in the file."""

    sql: str


class SavedQueries:
    """See `engine.metrics.face.Metrics`. Disk work: not for an event loop."""

    def __init__(self, paths: Paths) -> None:
        self._registry = Registry(paths.queries_file, "queries", _Record)

    def all(self) -> list[SavedQuery]:
        """Those that come with Hearth, then the others by name. Raises StorageFailed."""
        own = self._registry.all()
        return [*SHIPPED, *(SavedQuery(name=name, sql=own[name].sql) for name in sorted(own, key=str.lower))]

    def save(self, query: SavedQuery) -> None:
        """Keep a statement. Raises InvalidRequest and StorageFailed."""
        name = " ".join(query.name.split())
        if not name or not name.isprintable():
            raise InvalidRequest(
                "A statement needs a name that can be read.", fix="Choose another one.", param="name"
            )
        if name in _NAMES:
            raise InvalidRequest(
                f"{name!r} comes with Hearth.", fix="Save it under another name.", param="name"
            )

        def edit(own: dict[str, _Record]) -> None:
            if name not in own and len(own) >= MOST:
                raise InvalidRequest(f"{MOST} statements are kept already.", fix="Forget one.", param="name")
            own[name] = _Record(query.sql.strip())

        self._registry.change(edit)

    def drop(self, name: str) -> None:
        """Forget a statement. Raises InvalidRequest and StorageFailed."""
        if name in _NAMES:
            raise InvalidRequest(f"{name!r} comes with Hearth, and stays.", param="name")
        if not self._registry.discard(name):
            raise InvalidRequest(f"No statement is called {name!r}.", param="name")

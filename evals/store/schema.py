"""The form of `evals.db`, one step for each version: step n leads from `user_version` n to n + 1. Steps only come."""

from __future__ import annotations

_RUNS = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_moment ON runs (created DESC);
CREATE TABLE samples (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE rows (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    subject INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    scored INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, subject, sample, epoch)
) STRICT;
CREATE TABLE verdicts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    subject INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, subject, sample, epoch)
) STRICT;
CREATE TABLE baselines (
    dataset TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    subject INTEGER NOT NULL,
    pinned REAL NOT NULL
) STRICT, WITHOUT ROWID;
"""

_BATTLES = """
CREATE TABLE battles (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX battles_by_moment ON battles (created);
"""

MIGRATIONS: tuple[str, ...] = (_RUNS, _BATTLES)

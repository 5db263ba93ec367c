"""Where Hearth keeps things on this machine; `HEARTH_HOME` moves all of it into one folder.

Without it the XDG base directories hold, on every platform, so that `~/.config/hearth` is true everywhere.
Looking creates nothing: `ensure` makes a folder, private to its owner, when something is to be written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from engine.errors import StorageFailed

APP = "hearth"


class Paths(Struct, frozen=True, kw_only=True):
    """Absolute paths; none of them need exist."""

    config: Path
    """Written by people: settings, themes, keymap."""
    state: Path
    """Written by Hearth and worth keeping: metrics, logs, spool."""
    data: Path
    """Large files that are dear to get again: models, adapters."""
    cache: Path
    """What can be made again at any time."""
    runtime: Path
    """What lives no longer than a login: sockets, tokens, process ids."""

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def themes(self) -> Path:
        return self.config / "themes"

    @property
    def keymap_file(self) -> Path:
        return self.config / "keymap.toml"

    @property
    def aliases_file(self) -> Path:
        return self.config / "aliases.json"

    @property
    def prompts_file(self) -> Path:
        """Named system prompts."""
        return self.config / "prompts.json"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def uploaded(self) -> Path:
        """Models that clients of the server have sent."""
        return self.models / "uploaded"

    @property
    def blobs(self) -> Path:
        """Files that clients of the server have sent, by their SHA-256."""
        return self.data / "blobs"

    @property
    def adapters(self) -> Path:
        return self.data / "adapters"

    @property
    def converted_adapters(self) -> Path:
        """GGUF files made of adapters that came in another form."""
        return self.cache / "adapters"

    @property
    def headers_file(self) -> Path:
        """What was read of model files."""
        return self.cache / "headers.msgpack"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def metrics_file(self) -> Path:
        return self.state / "metrics.duckdb"

    @property
    def queries_file(self) -> Path:
        """Statements over the metrics that people keep under names."""
        return self.config / "queries.json"

    @property
    def database_file(self) -> Path:
        """Conversations: what must survive and may be touched by several processes."""
        return self.state / "hearth.db"

    @property
    def server_file(self) -> Path:
        """Keys, and responses that clients may come back for."""
        return self.state / "server.db"

    @property
    def database_backups(self) -> Path:
        """Copies of it, made before its form changes and now and again."""
        return self.state / "backups"

    @property
    def attachments(self) -> Path:
        """Pictures of conversations, by their content."""
        return self.state / "attachments"

    @property
    def writers(self) -> Path:
        """A locked file for each process that writes conversations: whose lock is free has ended."""
        return self.state / "writers"

    @property
    def jobs_lock(self) -> Path:
        """Held with `flock` by the one process that runs the jobs."""
        return self.state / "jobs.lock"

    @property
    def webhook_secret(self) -> Path:
        """What calls of webhooks are signed with."""
        return self.state / "webhook.secret"

    @property
    def spool(self) -> Path:
        """Metrics rows of processes that do not own the metrics file."""
        return self.state / "spool"

    @property
    def probes_file(self) -> Path:
        """What trials of model files found."""
        return self.state / "probes.json"

    @property
    def calibration_file(self) -> Path:
        """What models took of memory, over what was predicted."""
        return self.state / "calibration.json"

    @property
    def uses_file(self) -> Path:
        """When models were last in memory."""
        return self.state / "uses.json"

    @property
    def pulls_file(self) -> Path:
        """Pulls that were begun and are not done."""
        return self.state / "pulls.json"

    @property
    def evals_file(self) -> Path:
        """Runs of evals, row by row."""
        return self.state / "evals" / "evals.db"

    @property
    def eval_results(self) -> Path:
        """Reports of evals and of benches."""
        return self.state / "evals" / "results"

    @property
    def eval_datasets(self) -> Path:
        """Datasets that were made here, such as of starred messages."""
        return self.state / "evals" / "datasets"

    @property
    def lock_file(self) -> Path:
        """Held with `flock` by the one engine that owns the state folder."""
        return self.state / "hearth.lock"

    @property
    def history_file(self) -> Path:
        """What was typed into prompts before."""
        return self.state / "history.jsonl"


def resolve(environ: Mapping[str, str] = os.environ) -> Paths:
    """The paths that `environ` asks for: `HEARTH_HOME`, else the XDG variables, else their defaults."""
    user = Path(environ.get("HOME") or Path.home())
    if home := environ.get("HEARTH_HOME"):
        root = _absolute(home, user)
        return Paths(config=root, state=root / "state", data=root, cache=root / "cache", runtime=root / "run")

    def base(variable: str, default: Path) -> Path:
        # The XDG specification: a relative path in one of its variables is to be ignored.
        value = environ.get(variable, "")
        return (Path(value) if os.path.isabs(value) else default) / APP

    state = base("XDG_STATE_HOME", user / ".local" / "state")
    return Paths(
        config=base("XDG_CONFIG_HOME", user / ".config"),
        state=state,
        data=base("XDG_DATA_HOME", user / ".local" / "share"),
        cache=base("XDG_CACHE_HOME", user / ".cache"),
        runtime=base("XDG_RUNTIME_DIR", state / "run"),
    )


def ensure(folder: Path) -> Path:
    """`folder`, made with mode 0700 (and its missing parents) if it was not there.

    Raises StorageFailed when it cannot be made, is no folder, or belongs to or is writable by other people.
    """
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        facts = folder.stat()
    except OSError as error:
        raise StorageFailed(
            f"The folder {folder} cannot be made.",
            f"{error.strerror or error}.",
            "Make it writable, or set HEARTH_HOME to a folder of your own.",
        ) from None
    if not stat.S_ISDIR(facts.st_mode):
        raise StorageFailed(f"{folder} is not a folder.", fix="Move that file away, or set HEARTH_HOME.")
    if facts.st_uid != os.getuid():
        raise StorageFailed(
            f"The folder {folder} belongs to another user.",
            fix="Set HEARTH_HOME to a folder of your own, or give it back with chown.",
        )
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StorageFailed(f"Other users may write in {folder}.", fix=f"Close it with: chmod go-w {folder}")
    return folder


def _absolute(text: str, user: Path) -> Path:
    path = user / text[2:] if text.startswith("~/") else user if text == "~" else Path(text)
    return Path(os.path.abspath(path))

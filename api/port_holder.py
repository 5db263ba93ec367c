"""Who listens on a port, as far as this user may know."""

from __future__ import annotations

import psutil

from engine.text_safety import plain


def holder(host: str, port: int) -> str:
    """The process that listens on `port`, as `name (pid 123)`; empty where that cannot be found out."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for each in connections:
        if each.status != psutil.CONN_LISTEN or not each.laddr or each.laddr.port != port or each.pid is None:
            continue
        try:
            command = " ".join(psutil.Process(each.pid).cmdline()) or psutil.Process(each.pid).name()
        except psutil.Error:
            command = "a process"
        return f"{plain(command, 60)} (pid {each.pid})"
    return ""

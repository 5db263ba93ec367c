"""`hearth install-service`: what systemd or launchd needs to run the server; printed, not installed."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated
from xml.sax.saxutils import escape

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

UNIT = """\
# ~/.config/systemd/user/hearth.service; then: systemctl --user enable --now hearth
[Unit]
Description=Hearth, language models on this machine
After=network.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=75 78
TimeoutStopSec=20

[Install]
WantedBy=default.target
"""
PLIST = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- ~/Library/LaunchAgents/hearth.plist; then: launchctl load ~/Library/LaunchAgents/hearth.plist -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>hearth</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
</dict>
</plist>
"""


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def install_service(
    kind: Annotated[
        str | None, typer.Argument(metavar="[systemd|launchd]", help="Which; this system's if none is named.")
    ] = None,
) -> None:
    """Print a systemd unit or a launchd property list that keeps the server running."""
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(kind)))


def run(kind: str | None) -> int:
    """Print it. Raises InvalidRequest."""
    from engine.errors import InvalidRequest

    wanted = kind or ("launchd" if sys.platform == "darwin" else "systemd")
    command = [sys.executable, "-P", "-m", "cli.launcher", "serve"]
    if wanted == "systemd":
        print(UNIT.format(command=shlex.join(command).replace("%", "%%")), end="")
    elif wanted == "launchd":
        arguments = "\n".join(f"    <string>{escape(each)}</string>" for each in command)
        print(PLIST.format(arguments=arguments), end="")
    else:
        raise InvalidRequest(f"There is no service manager {wanted!r}.", fix="Name systemd or launchd.")
    return 0

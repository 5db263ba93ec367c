"""Python that nobody trusts, run apart from everything: no network, an empty home, nothing written that stays.

Linux: bubblewrap, with namespaces of its own and limits on time, memory, processes and files. macOS: sandbox-exec with
a profile that denies what is not named. Where there is neither nothing is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from engine.errors import Unsupported

MEMORY = 1 << 30
"""Bytes of address space."""
FILE = 16 << 20
PROCESSES = 64
_NOBODY = 65534
_CHECK_S = 30.0
OUTPUT = 1 << 20
"""Bytes of output that are looked at; a program that writes more is ended."""
_LIMITS = """
import resource as r
for what, most in ((r.RLIMIT_AS, {memory}), (r.RLIMIT_CPU, {cpu}), (r.RLIMIT_FSIZE, {file}), (r.RLIMIT_CORE, 0)):
    try:
        r.setrlimit(what, (most, most))
    except (ValueError, OSError):
        pass
try:
    r.setrlimit(r.RLIMIT_NPROC, ({processes}, {processes}))
except (ValueError, OSError):
    pass
del r, what, most
"""
# The limit on processes does not hold for root, whatever its namespace. Where Hearth runs as root the program becomes
# nobody before its first line is read; it keeps the rights to do so until then, and so no user namespace.
_AS_ROOT = [
    "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
    "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
]  # fmt: skip
_BECOME_NOBODY = f"""
import os as o
if o.getuid() == 0:
    o.setgroups([]); o.setgid({_NOBODY}); o.setuid({_NOBODY})
    assert o.getuid() == o.geteuid() == {_NOBODY}
del o
"""
_PROFILE = """(version 1)(deny default)(allow process-fork)(allow process-exec)(allow sysctl-read)(allow mach-lookup)
(allow file-read-metadata)(allow file-read* (subpath "/usr") (subpath "/System") (subpath "/Library/Frameworks")
(subpath "/private/var/db/dyld") (literal "/dev/null") (literal "/dev/urandom") (subpath "{python}") (subpath "{home}"))
(allow file-write* (subpath "{home}") (literal "/dev/null"))(deny network*)"""


class Ran(Struct, frozen=True, kw_only=True):
    """How a program ended. `status` is negative for a signal."""

    status: int
    output: str
    errors: str
    timed_out: bool = False


class Sandbox:
    """Runs programs by `tool`: `bwrap` or `sandbox-exec`, at `path`."""

    def __init__(self, tool: str, path: str) -> None:
        self.tool, self._path = tool, path

    def command(self, home: str) -> list[str]:
        """The command that runs Python on standard input, with `home` as its only folder to write in."""
        python = os.path.realpath(sys.executable)
        prefix = os.path.realpath(sys.base_prefix)
        inside = [python, "-I", "-"]
        if self.tool == "sandbox-exec":
            profile = _PROFILE.format(python=prefix, home=os.path.realpath(home))
            return [self._path, "-p", profile, *inside]
        shown = [
            part
            for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", prefix)
            for part in ("--ro-bind-try", folder, folder)
        ]
        # Folders on the way to the interpreter, which bubblewrap would make for root alone.
        way = [
            part
            for each in reversed(Path(prefix).parents[:-1])
            for part in ("--perms", "0755", "--dir", str(each))
        ]
        apart = ["--unshare-all", "--cap-drop", "ALL"] if os.getuid() else _AS_ROOT
        return [
            self._path, *apart, "--die-with-parent", "--new-session", "--clearenv",
            "--tmpfs", "/", *way, *shown, "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp",
            "--perms", "0777", "--tmpfs", "/home/nobody",
            "--setenv", "HOME", "/home/nobody", "--setenv", "PATH", "/usr/bin:/bin", "--chdir", "/home/nobody",
            *inside,
        ]  # fmt: skip

    def check(self) -> None:
        """Run a program that does nothing. Raises Unsupported where that fails: all code would be found wrong."""
        with tempfile.TemporaryDirectory(prefix="hearth-code-") as home:
            try:
                done = subprocess.run(
                    self.command(home),
                    input=f"{_BECOME_NOBODY}print('ready')",
                    env={"HOME": home, "PATH": "/usr/bin:/bin"},
                    cwd=home,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_CHECK_S,
                    check=False,
                )
                said = (
                    ""
                    if done.stdout.strip() == "ready"
                    else done.stderr.strip() or f"status {done.returncode}"
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                said = str(error)
        if said:
            raise Unsupported(
                f"Code of models cannot be run here: {self.tool} does not work.",
                said.splitlines()[-1][:300],
                "In a container, namespaces of users may have to be allowed; without a sandbox nothing is run.",
                param="run_code",
            )

    async def run(self, program: str, timeout: float) -> Ran:
        """Run `program` for at most `timeout` seconds; nothing of it is left behind."""
        limits = _BECOME_NOBODY + _LIMITS.format(
            memory=MEMORY, cpu=int(timeout) + 1, file=FILE, processes=PROCESSES
        )
        with tempfile.TemporaryDirectory(prefix="hearth-code-") as home:
            process = await asyncio.create_subprocess_exec(
                *self.command(home),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"HOME": home, "PATH": "/usr/bin:/bin"},
                cwd=home,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(timeout):
                    output, errors = await _talked(process, limits + program)
            except TimeoutError:
                return Ran(status=-signal.SIGKILL, output="", errors="", timed_out=True)
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            return Ran(status=process.returncode or 0, output=output, errors=errors)


def find_sandbox() -> Sandbox:
    """The sandbox of this machine. Raises Unsupported where there is none, or one that does not work."""
    for tool in ("bwrap", "sandbox-exec"):
        if path := shutil.which(tool):
            found = Sandbox(tool, str(Path(path).resolve()))
            found.check()
            return found
    raise Unsupported(
        "Code of models cannot be run here.",
        "There is neither bubblewrap (bwrap) nor sandbox-exec.",
        "Install bubblewrap; without a sandbox nothing is run.",
        param="run_code",
    )


async def _talked(process: asyncio.subprocess.Process, program: str) -> tuple[str, str]:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None

    async def write() -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(program.encode())
            await process.stdin.drain()
        process.stdin.close()

    async def read(stream: asyncio.StreamReader) -> str:
        data = b""
        while piece := await stream.read(65536):
            data += piece
            if len(data) > OUTPUT:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                break
        return data.decode(errors="replace")

    _, output, errors = await asyncio.gather(write(), read(process.stdout), read(process.stderr))
    await process.wait()
    return output, errors

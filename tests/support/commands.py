"""Commands as a user types them, in processes of their own."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fork_server import Forked, ForkServer

Command = Callable[..., "Ended"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        """Everything it printed."""
        return self.out + self.err

    @property
    def first_line(self) -> str:
        """The first line of the result: the verdict, or the error; progress does not count."""
        return next((line for line in (self.out or self.err).splitlines() if line.strip()), "")


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without any KMS_* variable and without pytest's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KMS_", "PYTEST_"))}
    return {**kept, "NO_COLOR": "1", **more}


def run_command(
    folder: Path,
    *arguments: str,
    timeout: float = 600,
    module: str = "kms_conformance",
    stdin: str = "",
    anew: bool = False,
    **environ: str,
) -> Ended:
    """Run the command line (or another module) in a folder, with a text to read, and return how it ended.

    The command line is forked from a process that has imported it, unless Python is to start ``anew`` or a variable is
    for Python itself. A pytest of its own goes without Schemathesis's plugin, which no case needs and whose loading takes
    longer than all the rest of a short session.
    """
    environment = clean_environment(**environ)
    if module == "kms_conformance" and not anew and not any(name.startswith("PYTHON") for name in environ):
        forked = fork_server().start(folder, module, arguments, environment, stdin)
        try:
            forked.wait(timeout)
        finally:
            forked.kill()
            code = forked.wait()
        return Ended(code, *forked.printed())
    without = ("-p", "no:schemathesis") if module == "pytest" else ()
    done = subprocess.run(
        [sys.executable, "-m", module, *without, *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def fork_command(folder: Path, *arguments: str, **environ: str) -> Forked:
    """Start the command line in a folder; the caller kills it or waits for its end before the next command."""
    return fork_server().start(folder, "kms_conformance", arguments, clean_environment(**environ))


@cache
def fork_server() -> ForkServer:
    """Return the process from which this session's commands are forked."""
    server = ForkServer(clean_environment())
    atexit.register(server.close)
    return server


def start_command(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start the command line in a folder, in a process group of its own; the caller ends it."""
    # Tests that run under nohup, or behind a shell's `&`, ignore signals, and a child would inherit that.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        return _started(folder, arguments, environ)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(folder: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kms_conformance", *arguments],
        cwd=folder,
        env=clean_environment(**environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

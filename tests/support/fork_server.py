"""Commands as processes that are forked from one which has imported the suite: importing is most of a short command's work.

Each command is a process of its own with its folder, environment, arguments, input and output, and ends as any program ends.
What depends on how Python itself starts (``PYTHONPATH``, ``PYTHONHASHSEED``, which modules are loaded) has to be started anew.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

PRELOADED = (
    "pytest",
    "xdist.plugin",
    "kms_conformance.cli.run",
    "kms_conformance.cli.judge_endpoint",
    "kms_conformance.cli.judge",
    "kms_conformance.cli.doctor",
    "kms_conformance.cli.examine_endpoint",
    "kms_conformance.cli.sweep",
    "kms_conformance.cli.explain",
    "kms_conformance.cli.merge",
    "kms_conformance.pytest_plugin.plugin",
    "kms_conformance.adapters.key_protect.adapter",
    "kms_conformance.adapters.hpcs_tke.adapter",
    "kms_conformance.adapters.iks.adapter",
)


class Forked:
    """A command under way; what it prints is in files of a folder, which is removed at its end."""

    def __init__(self, server: ForkServer, pid: int, place: tempfile.TemporaryDirectory[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._place = place
        self._lock = threading.Lock()
        self._printed: list[str] = []

    def kill(self) -> None:
        """Kill it with -9, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code, below 0 the signal that ended it. Raises :class:`subprocess.TimeoutExpired`."""
        with self._lock:
            if self.returncode is None:
                try:
                    self.returncode = self._server.answer(timeout)
                except TimeoutError:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
                self._server.is_free.release()
                self._printed = [
                    (Path(self._place.name) / name).read_text(encoding="utf-8") for name in ("out", "err")
                ]
                self._place.cleanup()
            return self.returncode

    def printed(self) -> tuple[str, str]:
        """Return what it has printed, output and errors, once it has ended."""
        out, err = self._printed
        return out, err


class ForkServer:
    """The process that forks; one command at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.is_free = threading.Semaphore()
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def start(
        self, folder: Path, module: str, arguments: Sequence[str], environ: Mapping[str, str], stdin: str = ""
    ) -> Forked:
        """Start ``python -m module`` in a folder, once the command before has ended."""
        place = tempfile.TemporaryDirectory()
        (Path(place.name) / "in").write_text(stdin, encoding="utf-8")
        order = {
            "folder": str(folder),
            "module": module,
            "arguments": list(arguments),
            "environ": dict(environ),
            "files": [str(Path(place.name) / name) for name in ("in", "out", "err")],
        }
        assert self.is_free.acquire(timeout=900)
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        return Forked(self, self.answer(None), place)

    def close(self) -> None:
        """End the process."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def answer(self, timeout: float | None) -> int:
        """Return the next number that the process says; raise :class:`TimeoutError` where none comes in time."""
        assert self._server.stdout is not None
        if timeout is not None and not select.select([self._server.stdout], [], [], timeout)[0]:
            raise TimeoutError
        return int(self._server.stdout.readline())


def serve() -> str:
    """Fork for each order; return, in the forked process, the module to run."""
    for name in PRELOADED:
        import_module(name)
    read_contracts()
    tasks = Path("/proc/self/task")
    assert not tasks.is_dir() or len(list(tasks.iterdir())) == 1, "a fork has one thread only"
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            answers.close()
            return prepared(json.loads(line))
        answers.write(f"{pid}\n")
        answers.flush()
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        answers.flush()
    return ""


def read_contracts() -> None:
    """Read what every run reads: contracts, laws, views and templates are kept by the functions that return them."""
    from kms_conformance.contract.contract import known_contracts, load_contract  # noqa: PLC0415 - in the server only
    from kms_conformance.laws.entries import law_cases  # noqa: PLC0415 - same
    from kms_conformance.laws.views import index_of  # noqa: PLC0415 - same
    from kms_conformance.outputs.pages import template_of  # noqa: PLC0415 - same

    for contract in known_contracts():
        load_contract(contract).operation_of("GET", "/")
        index_of(contract)
        for law in ("effects", "relations", "ownership", "concurrency", "limits", "sequences"):
            law_cases(contract, law)
    template_of("report.html.j2")


def prepared(order: dict[str, object]) -> str:
    """Be as a process that was started by the order; return the module to run."""
    for number, path in enumerate(order["files"]):  # type: ignore[arg-type, var-annotated]  # JSON
        opened = os.open(
            str(path), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(order["environ"])  # type: ignore[arg-type, call-overload]  # JSON
    os.chdir(str(order["folder"]))
    sys.path[:1] = [str(order["folder"]), sys.path[0]]
    sys.argv = [str(order["module"]), *map(str, order["arguments"])]  # type: ignore[arg-type, call-overload]  # JSON
    return str(order["module"])


if __name__ == "__main__" and (named := serve()):
    runpy.run_module(named, run_name="__main__", alter_sys=True)

"""`serve`: a reference for others to judge, and the embedded one that ends with its run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kms_conformance.errors import UnreachableError
from kms_conformance.run.reference_process import EmbeddedReference
from kms_conformance.target.target import read_target
from kms_reference.defects import ALL_DEFECTS

PATIENCE = 120.0
PARENT = """
import sys, time
from kms_conformance.run.reference_process import EmbeddedReference
reference = EmbeddedReference()
print(reference.target().base_url, flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds, at most half a minute."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Tell whether anything answers at an address."""
    try:
        httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Yield a `serve` under way, and the target file that it has written."""
    from commands import start_command  # noqa: PLC0415 - found by a path that the conftest sets

    path = tmp_path / "target.toml"
    process = start_command(tmp_path, "serve", "--port", "0", "--write-target", str(path))
    try:
        wait_for(lambda: path.exists() or process.poll() is not None)
        yield process, path
    finally:
        process.kill()
        process.communicate()


def test_list(command: Callable[..., Any]) -> None:
    """`--list` names every defect and variation with its line, and ends."""
    ended = command("serve", "--list")
    assert ended.code == 0
    lines = {line.split()[1]: line for line in ended.out.splitlines()}
    assert set(ALL_DEFECTS) <= set(lines)
    assert len(ALL_DEFECTS) >= 30
    assert all(ALL_DEFECTS[name].doc in lines[name] for name in ALL_DEFECTS)


def test_target_file_is_complete(served: tuple[subprocess.Popen[str], Path]) -> None:
    """The file that `--write-target` writes is all that a run needs, and is there only once requests are accepted."""
    process, path = served
    assert process.poll() is None
    target = read_target(str(path), {}, {})
    assert set(target.identities) >= {"manager", "approver", "service", "reader", "outsider"}
    assert all(identity.api_key for identity in target.identities.values())
    assert target.fresh
    assert target.control_url
    assert target.iam_url
    assert all(target.capabilities.values())
    assert all(target.allow.values())
    assert answers(target.base_url)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_clean_end(served: tuple[subprocess.Popen[str], Path], sent: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it with exit code 0, without a traceback."""
    process, path = served
    target = read_target(str(path), {}, {})
    process.send_signal(sent)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert err == ""
    assert out.startswith(f"Serving the reference at {target.base_url} ")
    assert not answers(target.base_url)


def test_port_in_use(command: Callable[..., Any]) -> None:
    """A port that is taken is one sentence with the port, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = command("serve", "--port", str(port))
    assert ended.code == 2
    assert ended.err.startswith(f"error: --port is '{port}': cannot listen on 127.0.0.1:{port}")
    assert "hint: " in ended.err
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--defect", "no-such-defect"], "--defect is 'no-such-defect'"),
        (["--variation", "no-such-variation"], "--variation is 'no-such-variation'"),
        (["--host", "203.0.113.1", "--port", "0"], "cannot listen on 203.0.113.1:0"),
        (["--port", "0", "--write-target", "no/such/folder/target.toml"], "'no/such/folder/target.toml'"),
        (["--port", "0", "--data", "no/such/folder/data.sqlite"], "--data is 'no/such/folder/data.sqlite'"),
        (["--port", "70000"], "70000"),
    ],
)
def test_what_cannot_be_served(arguments: list[str], says: str, command: Callable[..., Any]) -> None:
    """Whatever keeps it from serving is told in one sentence, with exit code 2."""
    ended = command("serve", *arguments, timeout=PATIENCE)
    assert ended.code == 2, ended.output
    assert says in ended.err
    assert "Traceback" not in ended.output


def test_embedded_reference_ends_with_its_parent() -> None:
    """The reference of a run that is killed with -9 does not stay behind."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert answers(url)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    wait_for(lambda: not answers(url))


def test_embedded_reference_is_told_apart() -> None:
    """Its target is marked as embedded, works at once, and stops when told."""
    with EmbeddedReference() as reference:
        target = reference.target()
        assert target.embedded
        assert answers(target.base_url)
    assert not answers(target.base_url)


def test_embedded_reference_that_does_not_start() -> None:
    """A reference that cannot start says why."""
    with (
        EmbeddedReference(edition="nonsense") as reference,
        pytest.raises(UnreachableError, match="nonsense"),
    ):
        reference.target()

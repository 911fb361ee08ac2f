"""Servers that nobody here has written: how they are installed, each in an environment of its own, and started on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".foreign"
STARTS_WITHIN = 60.0
STOPS_WITHIN = 10.0


class NotInstallableError(Exception):
    """The packages of a server cannot be installed here; says why."""


class NotStartedError(Exception):
    """A server does not answer; holds the last lines that it has printed."""


@dataclass(frozen=True)
class Server:
    """A server that speaks the API of AWS KMS.

    ``packages`` are what pip installs, with their versions. ``command`` starts it from its environment's folder of
    programs: ``{port}`` is filled. ``capabilities`` are what it says that it lacks.
    """

    name: str
    version: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    url: str
    environ: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ("aws_signatures",)


SERVERS: Mapping[str, Server] = {
    server.name: server
    for server in (
        Server(
            name="moto",
            version="5.2.5",
            packages=("moto[server,kms]==5.2.5",),
            command=("moto_server", "-H", "127.0.0.1", "-p", "{port}"),
            url="https://pypi.org/project/moto/5.2.5/",
        ),
        Server(
            name="ministack",
            version="1.5.33",
            # Key pairs and imports need cryptography, which it does not ask for.
            packages=("ministack==1.5.33", "cryptography>=44"),
            # Its own command binds every address.
            command=("hypercorn", "-b", "127.0.0.1:{port}", "ministack.app:app"),
            url="https://pypi.org/project/ministack/1.5.33/",
            environ={"IOT_MTLS_ENABLED": "0"},
        ),
    )
}


def installed(server: Server, folder: Path = ENVIRONMENTS) -> Path:
    """Return the folder of programs of a server's environment, made where it is not there yet.

    Raises :class:`NotInstallableError`.
    """
    place = folder / f"{server.name}-{server.version}"
    programs = place / "bin"
    done = place / ".ready"
    wanted = "\n".join(server.packages)
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return programs
    venv.create(place, with_pip=True, clear=True)
    pip = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
    ]
    ended = subprocess.run([*pip, *server.packages], capture_output=True, text=True, check=False)
    if ended.returncode:
        last = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise NotInstallableError(last[-1])
    done.write_text(wanted, encoding="utf-8")
    return programs


@contextmanager
def running(server: Server, programs: Path, folder: Path) -> Iterator[str]:
    """Yield the address of a server that runs in a folder; raise :class:`NotStartedError` where it does not answer."""
    port = _free_port()
    name, *arguments = (part.format(port=port) for part in server.command)
    log = folder / f"{server.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(programs / name), *arguments],
            cwd=folder,
            env={**_environ(), **server.environ},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environ() -> dict[str, str]:
    """Return the environment without what belongs to our own Python."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    headers = {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}
    credential = "AKIDTHROWAWAYOFTHISRUN/20261129/us-east-1/kms/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.post(url, headers=headers, content=b"{}", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise NotStartedError("\n".join(log.read_text(errors="replace").splitlines()[-5:]))


def target_text(url: str, server: Server) -> str:
    """Return the target file for a server."""
    lacks = "\n".join(f"{name} = false" for name in server.capabilities)
    return f"""base_url = "{url}"
contract = "aws_kms"

[identities.principal]
access_key_id = "AKIDTHROWAWAYOFTHISRUN"
secret_access_key = "a-secret-access-key-that-opens-nothing"

[capabilities]
{lacks}

[allow]
aws_litter = true
"""

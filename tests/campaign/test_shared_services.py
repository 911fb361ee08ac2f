"""What workers share: object storage, a database of findings, a scheduler. Each is a real one on this machine.

They need the group ``campaign`` (`make campaign-proof` installs it) and, for the database, Debian's redis-server.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, settings, strategies

from kms_conformance.campaign.conduct import stored_plan
from kms_conformance.campaign.errors import CampaignResultsError
from kms_conformance.campaign.plan import Plan
from kms_conformance.campaign.store import PLAN, open_store, stored_outcomes
from kms_conformance.fuzz.examples import example_database
from kms_reference.server import Server

PATIENCE = 60.0


def demand(*packages: str) -> None:
    """Skip the test where a package of the group is missing."""
    if any(find_spec(name) is None for name in packages):
        pytest.skip("the group `campaign` is not installed (make campaign-proof)")


@contextmanager
def served(*words: str) -> Iterator[int]:
    """Start a server on a free port, which takes the place of PORT in its command; give the port once it listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    process = subprocess.Popen(
        [word.replace("PORT", str(port)) for word in words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a bucket of an S3 server of one's own, as the environment of a worker names it."""
    demand("moto", "flask", "flask_cors", "s3fs")
    s3fs: Any = import_module("s3fs")

    with served(sys.executable, "-m", "moto.server", "-p", "PORT") as port:
        url = f"http://127.0.0.1:{port}"
        for name, value in {
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("night")
        yield "s3://night/run"
        s3fs.S3FileSystem.clear_instance_cache()


def test_object_storage(bucket: str, tmp_path: Path) -> None:
    """A shard is there once its outcome is; its folder comes back as it was, a later one replaces it."""
    store = open_store(bucket)
    assert stored_plan(store) is None
    store.write(PLAN, json.dumps(Plan("night", "d", (), {}).document()))
    assert stored_plan(store) == Plan("night", "d", (), {})
    for text in ("first", "second"):
        folder = tmp_path / text
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text(text)
        (folder / "task.json").write_text(json.dumps({"state": text}))
        store.put_folder("shards/e/1-of-1", folder)
    assert stored_outcomes(store, ["e/1-of-1", "e/2-of-2"]) == {"e/1-of-1": {"state": "second"}}
    back = store.folder("shards/e/1-of-1", tmp_path / "back")
    assert (back / "deep" / "file").read_text() == "second"
    with pytest.raises(CampaignResultsError):
        open_store("s3://nobodys-bucket/x").write(PLAN, "{}")


def test_findings_are_shared(tmp_path: Path) -> None:
    """What one worker has found is the first thing that another one tries: both have the same Redis."""
    demand("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (apt install redis-server)")
    words = (program, "--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path))
    with served(*words) as port:
        tried: list[int] = []

        def rare(number: int) -> bool:
            tried.append(number)
            return number > 10_000

        def worker(examples: int) -> int:
            own = settings(database=example_database(f"redis://127.0.0.1:{port}"), max_examples=examples)
            return find(strategies.integers(0, 1 << 20), rare, settings=own, database_key=b"operation")

        assert worker(1000) == 10_001
        tried.clear()
        assert worker(1) == 10_001
        assert tried[0] == 10_001


def test_a_campaign_by_a_scheduler(
    bucket: str, reference: Server, tmp_path: Path, target_file: Path, command: Callable[..., Any]
) -> None:
    """Scheduler and worker of one's own, TLS, results in object storage: the verdict is that of a local campaign."""
    demand("distributed")
    assert command("campaign", "certs", "certs").code == 0
    certificates = tmp_path / "certs"

    def tls(role: str) -> list[str]:
        return [
            *("--tls-ca-file", str(certificates / "ca.pem")),
            *(
                "--tls-cert",
                str(certificates / f"{role}.pem"),
                "--tls-key",
                str(certificates / f"{role}.key"),
            ),
        ]

    (tmp_path / "campaign.toml").write_text(
        f'name = "night"\ncontracts = ["iks"]\nfuzz = false\n[[endpoints]]\nname = "one"\ntarget = "{target_file}"\nat_once = 2\n'
    )
    cli = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "tls://127.0.0.1:PORT")
    with served(*cli, "--no-dashboard", "--no-show", *tls("scheduler")) as port:
        words = [sys.executable, "-m", "distributed.cli.dask_worker", f"tls://127.0.0.1:{port}", "--no-nanny"]
        worker = subprocess.Popen(
            [*words, "--no-dashboard", "--nthreads", "2", "--memory-limit", "0", *tls("worker")],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ended = command(
                *("campaign", "campaign.toml", "--results", bucket),
                *("--scheduler", f"tls://127.0.0.1:{port}", "--certificates", "certs"),
            )
        finally:
            worker.kill()
            worker.wait()
    local = command("campaign", "campaign.toml", "--results", "here", "--report-dir", "local")
    documents = [
        json.loads((tmp_path / place / "campaign-results.json").read_text())
        for place in ("reports/campaign", "local")
    ]
    assert ended.code == local.code == 0, ended.output
    assert documents[0] == documents[1]
    assert command("merge", bucket, "--report-dir", "again").code == 0
    gone = command("campaign", "campaign.toml", "--results", "new", "--scheduler", "tcp://127.0.0.1:9")
    assert (gone.code, "cannot be used" in gone.err) == (4, True)

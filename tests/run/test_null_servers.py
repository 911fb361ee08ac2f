"""A server that is no KMS passes nothing, ends in bounded time, and the first line says what is wrong."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path

import pytest
from commands import Command, Ended
from null_servers import NULLS, NullServer, always, message, redirect, refused_address, serving
from runs import promised, run_cases, target_of

from kms_conformance.contract.severity import Verdict
from kms_conformance.judging.verdict import RunVerdict, headline

TOKEN = "a-token-that-no-other-host-may-see"
BOUND = 120.0
FLAGS = ("--instance", "fresh", "--token", TOKEN, "--timeout", "0.6", "--report-dir", "report", "--jobs", "8")
"""Probes of the line itself take seconds each, whoever answers; with several jobs they overlap."""
SAYS = {
    "200-empty-object": "does not speak",
    "204": "204 with an empty body",
    "400-empty-object": "gave 400",
    "401-empty-object": "refuses the identity 'manager' with 401",
    "404-empty-object": "gave 404",
    "500-empty-object": "gave 500",
    "409-envelope": "no request ever succeeded (409 KEY_ACTION_INVALID_STATE_ERR, ",
    "html": "an HTML page",
    "random-bytes": "cannot be judged",
    "random-body": "400 bytes that are no text",
    "echo": "does not speak",
    "hang": "no complete answer within 0.6 s",
    "drip": "no complete answer within 0.6 s",
    "cut": "before the answer was complete",
}


def judge(command: Command, server: NullServer, tmp_path: Path) -> Ended:
    """Run the real command line against a server and return how it ended."""
    begun = time.monotonic()
    ended = command("run", "--base-url", server.url, *FLAGS, timeout=BOUND)
    assert time.monotonic() - begun < BOUND
    results = tmp_path / "report" / "results.json"
    if results.exists():
        document = json.loads(results.read_text())
        assert document["verdict"] != "conformant"
        levels = {row["id"]: row["level"] for row in document["requirements"]}
        green = [case for case in document["cases"] if case["verdict"] in {"passed", "warned"}]
        assert not [case["id"] for case in green if "MUST" in {levels[row] for row in case["requirements"]}]
    assert "Traceback" not in ended.output
    return ended


@pytest.mark.parametrize("name", NULLS)
def test_command_line(command: Command, tmp_path: Path, name: str) -> None:
    """Each null server ends with a non-zero exit code, and the first line says what is wrong."""
    with serving(NULLS[name]) as server:
        ended = judge(command, server, tmp_path)
    assert ended.code == (1 if name == "409-envelope" else 4)
    assert SAYS[name] in ended.first_line


def test_command_line_refused_connection(command: Command, tmp_path: Path) -> None:
    """Where nobody listens, the first line says so."""
    ended = judge(command, NullServer(refused_address()), tmp_path)
    assert ended.code == 4
    assert "no connection" in ended.first_line


@pytest.mark.parametrize(
    ("status", "reasons", "says", "advises"),
    [
        (
            400,
            [{"code": "BEARER_SUB_EXTRACTION_ERR"}],
            "'manager' with 400 BEARER_SUB_EXTRACTION_ERR",
            "token",
        ),
        (403, [], "'manager' with 403", "token"),
        (404, [], "gave 404 without a reason code", "the suite itself adds /api/v2/keys"),
    ],
)
def test_who_is_not_let_in(
    command: Command, status: int, reasons: list[object], says: str, advises: str
) -> None:
    """A caller who is refused whatever he asks, and a path that leads nowhere, are told before any case runs."""
    envelope = {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [{"errorMsg": "No", **({"reasons": reasons} if reasons else {})}],
    }
    with serving(always(status, json.dumps(envelope).encode())) as server:
        ended = command("run", "--base-url", server.url, *FLAGS, timeout=BOUND)
    assert ended.code == 4
    assert says in ended.first_line
    assert advises in ended.output


@pytest.mark.parametrize("name", NULLS)
def test_cases_without_preflight(name: str) -> None:
    """The cases themselves prove it too: none with a MUST passes, and the verdict line names the monotony."""
    begun = time.monotonic()
    with serving(NULLS[name]) as server:
        # Probes of the line itself take seconds each, whoever answers; one of the servers gets them too, and overlapping.
        if name == "200-empty-object":
            run = run_cases(target_of(server.url, timeout=0.3), jobs=8)
        else:
            run = run_cases(target_of(server.url, timeout=0.3), "-k", "not security")
    assert time.monotonic() - begun < BOUND
    assert promised(run) == []
    silent = name in {"hang", "drip", "cut"}  # nobody has answered, so nothing is known
    assert run.verdict is (RunVerdict.NOT_VERIFIED if silent else RunVerdict.NON_CONFORMANT)
    assert run.exit_code != 0
    assert any(
        reason in headline(run)
        for reason in ("no request ever succeeded", "requests got the same answer", "none of", "went away")
    ), headline(run)


def test_silent_endpoint_is_left_alone() -> None:
    """After a few unanswered requests the rest is spared, so that a hanging endpoint costs little time."""
    with serving(NULLS["hang"]) as server:
        run = run_cases(target_of(server.url, timeout=0.2))
        assert len(server.requests) < 12
    assert "the endpoint went away at " in run.interrupted
    assert any(case.verdict is Verdict.NOT_TESTED for case in run.cases)


def test_redirect_takes_no_token_along(command: Command, tmp_path: Path) -> None:
    """A redirect to another host is not followed: that host sees no connection at all, so no token either."""
    with (
        serving(NULLS["200-empty-object"], "127.0.0.2") as other,
        serving(redirect(f"{other.url}/api/v2/keys")) as server,
    ):
        ended = judge(command, server, tmp_path)
        assert ended.code == 4
        assert "redirects to" in ended.first_line
        run = run_cases(target_of(server.url, TOKEN, timeout=1))
        assert other.requests == []
        assert TOKEN.encode() in server.received
    assert promised(run) == []
    assert run.exit_code != 0


def test_redirecting_token_issuer_takes_no_key_along(command: Command, tmp_path: Path) -> None:
    """Nor is an API key sent on by a token issuer that redirects."""
    with serving(NULLS["200-empty-object"], "127.0.0.2") as other, serving(redirect(other.url)) as server:
        ended = command(
            "run",
            "--base-url",
            server.url,
            "--iam-url",
            server.url,
            "--instance",
            "fresh",
            "--api-key",
            TOKEN,
        )
        assert other.requests == []
    assert ended.code == 4
    assert "gave no token for the identity 'manager': status 307" in ended.first_line
    assert TOKEN not in ended.output


@pytest.mark.parametrize("name", ["hang", "drip", "html", "random-bytes", "204", "200-empty-object"])
def test_null_token_issuer(command: Command, name: str) -> None:
    """A token issuer that is none ends in one sentence too."""
    with serving(NULLS[name]) as server:
        ended = command(
            "run",
            "--base-url",
            server.url,
            "--iam-url",
            server.url,
            "--instance",
            "fresh",
            "--api-key",
            TOKEN,
            "--timeout",
            "0.6",
            timeout=BOUND,
        )
    assert ended.code == 4
    assert "gave no token for the identity 'manager'" in ended.first_line
    assert TOKEN not in ended.output


def test_answers_that_are_too_long_or_deep() -> None:
    """A body without end, and one nested beyond reason, cost neither the run nor the process."""
    deep = b'{"resources":' + b"[" * 100_000

    def endless(connection: socket.socket, _: object, stop: threading.Event) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b" " * 1_000_000)
        return False

    for behaviour in (endless, lambda connection, *_: bool(connection.sendall(message(200, deep)) or True)):
        with serving(behaviour) as server:
            run = run_cases(
                target_of(server.url, timeout=5), "-k", "test_list_shows_the_key or test_no_token"
            )
        assert promised(run) == []
        assert run.exit_code != 0

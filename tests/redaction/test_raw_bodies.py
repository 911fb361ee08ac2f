"""What stands in a hand-made body may not be repeated either, whole or not; and each process knows the secrets of all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from null_servers import serving
from runs import case_of, session_and_context, target_of

from kms_conformance.judging.results import CaseResult
from kms_conformance.run.late_secrets import scrubbed
from kms_conformance.transport.client import Request

SECRET = "cGF5bG9hZC1vZi1hLWhhbmQtbWFkZS1ib2R5"
BODIES = (
    json.dumps({"resources": [{"payload": SECRET}]}),
    '{"resources": [{"payload": "' + SECRET + '"',
    '{"payload" :\n"' + SECRET + '", "x": }',
    '{"payload": "' + SECRET.replace("c", "\\u0063") + '"}',
)


def repeats(connection: object, request: object, _: object) -> bool:
    """Answer with the secret, whatever was asked."""
    body = json.dumps({"resources": [{"id": SECRET}]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)  # type: ignore[attr-defined]  # a socket
    return True


@pytest.mark.parametrize("body", BODIES)
def test_a_hand_made_body_is_not_repeated(body: str) -> None:
    """A server that repeats the payload of a body sent as bytes breaks the rule, and no output shows it."""
    with serving(repeats) as server:
        session, context = session_and_context(target_of(server.url))
        case = case_of(context)
        case.send(Request("POST", "/api/v2/keys", raw=body.encode(), step="raw"))
        assert "wire-no-secret-echo" in {finding.requirement for finding in case.findings}
        assert SECRET not in repr(case.exchanges)
        session.close()


def test_secrets_of_other_processes_are_taken_out(tmp_path: Path) -> None:
    """What one process of a run has learned is taken out of the evidence of the others."""
    with serving(repeats) as server:
        worker, of_worker = session_and_context(target_of(server.url))
        main, of_main = session_and_context(target_of(server.url))
        of_worker.redactor.remember(SECRET, "payload")
        case = case_of(of_main)
        case.send(Request("GET", "/api/v2/keys", step="list")).not_judged()
        result = case.result()
        assert SECRET in repr(result)
        main.case_finished(result)
        main.learn_secrets(json.loads(json.dumps(worker.known_secrets())))
        assert SECRET not in repr(main.outcome().cases)
        worker.close()
        main.close()


def test_nothing_else_changes() -> None:
    """A result without any secret stays as it is."""
    with serving(repeats) as server:
        session, context = session_and_context(target_of(server.url))
        case = case_of(context)
        case.send(Request("GET", "/api/v2/keys", step="list")).not_judged()
        result: CaseResult = case.result()
        assert scrubbed(result, lambda text: text) == result
        session.close()

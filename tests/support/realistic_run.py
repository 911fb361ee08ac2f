"""A run that looks like one of a real endpoint, of any size."""

from __future__ import annotations

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import Exchange, Received, Sent
from kms_conformance.judging.expectation import Expectation, Outcome
from kms_conformance.judging.results import CaseResult, Finding
from kms_conformance.judging.verdict import Profile, Run


def realistic_run(number_of_cases: int, exchanges_each: int) -> Run:
    """Return a run that looks like one of a real endpoint, with every verdict in it."""
    rows = tuple(
        Row(
            id=f"rule-{number}",
            contract="demo",
            section=f"section-{number // 4}",
            level=("MUST", "MUST", "SHOULD")[number % 3],
            evidence="documented",
            text="A request whose body lacks what the operation needs is refused with the documented reason.",
            reason_code="NO_BODY_ERR",
            excluded="" if number % 23 else "The page names no way to provoke it.",
            link=f"https://docs.example.test/errors#section-{number // 4}",
            section_title=f"The body of request {number // 4} is missing",
        )
        for number in range(max(number_of_cases, 8))
    )
    cases = tuple(_realistic_case(number, exchanges_each) for number in range(number_of_cases))
    return Run(
        profile=Profile.GATE,
        cases=cases,
        rows=rows,
        started=1_760_000_000.0,
        finished=1_760_000_041.5,
        meta={
            "run_id": "2f1c9d52",
            "edition": "page",
            "suite": {"version": "0.1.0", "commit": "0123456789abcdef"},
            "contracts": [{"id": "demo", "title": "Demo KMS", "edition": "2025-01-15", "sha256": "ab" * 32}],
            "target": {
                "base_url": "http://127.0.0.1:8080",
                "instance": "7f1d1c4e-0000-4000-8000-000000000000",
                "identities": ["manager", "reader"],
            },
            "options": {"max_wait": None, "fuzz": {"on": True}},
            "command_line": [
                "kms-conformance",
                "run",
                "--target",
                "t.toml",
                "--report-dir",
                "out",
                "-k",
                "body",
            ],
            "environment": {"python": "CPython 3.11.2", "platform": "Linux-6.1-x86_64"},
            "servers": [
                {
                    "name": "127.0.0.1:8080",
                    "addresses": ["127.0.0.1:8080"],
                    "certificates": [
                        {
                            "tls": "TLSv1.3",
                            "cipher": "TLS_AES_256_GCM_SHA384",
                            "sha256": "cd" * 32,
                            "subject": "CN=kms.example.test",
                            "issuer": "CN=An authority",
                            "not_before": "2025-01-01T00:00:00Z",
                            "not_after": "2026-01-01T00:00:00Z",
                        }
                    ],
                }
            ],
            "identities": {"manager": {"roles": ["Manager"]}},
            "requests": {"sent": 90, "throttled": 3, "waited_s": 4.5},
            "left_behind": ["key kmsct-1 in instance 7f1d: it is still there (403)"],
        },
    )


_PATTERN = (Verdict.PASSED,) * 12 + tuple(Verdict) + (Verdict.PASSED,) * 12


def _realistic_case(number: int, exchanges_each: int) -> CaseResult:
    verdict = _PATTERN[number % len(_PATTERN)]
    case_id = f"demo/bodies/test_body_{number}_is_missing"
    ran = verdict not in {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE}
    seen = tuple(
        _realistic_exchange(case_id, f"x{number:04d}{place}", place, refused=place == exchanges_each - 1)
        for place in range(exchanges_each if ran else 0)
    )
    finding = Finding(
        requirement=f"rule-{number}",
        severity=verdict,
        expected="400 NO_BODY_ERR",
        got="400 with code 'BAD_BODY_ERR'",
        exchange=seen[-1].id if seen else "",
        curl=curl_line(seen[-1]) if seen else "",
        step="create a key without a body",
    )
    judged = verdict in {Verdict.FAILED, Verdict.WARNED} and bool(seen)
    return CaseResult(
        id=case_id,
        title=f"A key is not created without a body ({number})",
        contract="demo",
        verdict=verdict,
        requirements=(f"rule-{number}",),
        message=""
        if verdict is Verdict.PASSED
        else f"rule-{number}: expected 400 NO_BODY_ERR, got 400 with code 'BAD_BODY_ERR'",
        missing="needs [identities.reader]" if verdict is Verdict.NOT_TESTED else "",
        started=1_760_000_000.0 + number / 10,
        duration=0.084,
        waited=30.0 if number % 9 == 0 else 0.0,
        checks=exchanges_each if ran else 0,
        judged=(f"rule-{number}",) if seen else (),
        findings=(finding,) if judged else (),
        exchanges=seen,
        expectations=tuple(
            Expectation(exchange.id, f"rule-{number}", Verdict.FAILED, (Outcome((400,), "NO_BODY_ERR"),))
            for exchange in seen
        ),
        rule="A key is not created without a body.\n\nThe answer names what is missing.",
        nodeid=f"scenarios/demo/bodies.py::test_body_{number}_is_missing",
        file="kms_conformance/scenarios/demo/test_bodies.py",
        line=10 * number + 1,
    )


def _realistic_exchange(case_id: str, exchange_id: str, place: int, *, refused: bool) -> Exchange:
    sent_headers = {
        "accept": "application/json",
        "user-agent": f"kms-conformance/0.1.0 ({case_id})",
        "correlation-id": f"5f0c4a0e-0000-4000-8000-{place:012d}",
        "authorization": "Bearer <token:3f9a5c0d12ab>",
        "content-type": "application/vnd.ibm.kms.key+json",
    }
    resource = {
        "type": "application/vnd.ibm.kms.key+json",
        "name": "kms-conformance",
        "extractable": False,
        "payload": "<payload:3f9a5c0d12ab>",
    }
    metadata = {"collectionType": "application/vnd.ibm.kms.key+json", "collectionTotal": 1}
    reason = {
        "code": "BAD_BODY_ERR",
        "message": "The body is bad.",
        "status": 400,
        "moreInfo": "https://docs.example.test/errors",
    }
    return Exchange(
        id=exchange_id,
        case=case_id,
        step="create a key without a body",
        operation="createKey",
        identity="manager",
        sent=Sent(
            method="POST",
            url="http://127.0.0.1:8080/api/v2/keys?limit=20",
            path="/api/v2/keys",
            headers=sent_headers,
            body={"metadata": metadata, "resources": [resource]},
            secrets=frozenset({"<payload:3f9a5c0d12ab>"}),
        ),
        answer=Received(
            status=400 if refused else 201,
            headers={
                "content-type": "application/json",
                "correlation-id": "5f0c4a0e",
                "date": "Thu, 09 Oct 2025 08:53:20 GMT",
            },
            body={"metadata": metadata, "resources": [resource]}
            if not refused
            else {
                "metadata": metadata,
                "resources": [{"errorMsg": "Bad Request: see reasons for details.", "reasons": [reason]}],
            },
            is_json=True,
            size=412,
            code="BAD_BODY_ERR" if refused else None,
        ),
        started=1_760_000_000.0 + place / 100,
        duration=0.0123,
    )

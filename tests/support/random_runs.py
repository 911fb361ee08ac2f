"""Random runs and their parts, as Hypothesis strategies, and one realistic run.

The strategies are registered by type: tests say ``st.from_type(Run)``.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.evidence.curl import curl_line
from kms_conformance.evidence.exchange import JSON, Exchange, Received, Sent
from kms_conformance.judging.expectation import Expectation, Member, Outcome
from kms_conformance.judging.results import CaseResult, Finding, KnownDeviation
from kms_conformance.judging.verdict import Profile, Run

WORDS = st.text(max_size=12)
NAMES = st.text("abcxyz-_./[]", min_size=1, max_size=8)
CODES = st.sampled_from(["KEY_EXPIRED_ERR", "NO_BODY_ERR", "BAD_BODY_ERR"])
TIMES = st.floats(0, 4e9)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
BODIES: st.SearchStrategy[JSON] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
ENVELOPES = st.builds(
    lambda status, code, text: {
        "metadata": {"collectionType": "application/vnd.ibm.kms.error+json", "collectionTotal": 1},
        "resources": [{"errorMsg": text, "reasons": [{"code": code, "message": text, "status": status}]}],
    },
    st.sampled_from([400, 409, 422]),
    CODES,
    WORDS,
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "authorization", "correlation-id", "location", "x-y"]), WORDS
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 404, 409, 422, 500, 599])


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """Return a request as it left."""
    path = "/" + draw(NAMES)
    return Sent(
        method=draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])),
        url=f"http://127.0.0.1:1{path}?" + draw(st.text("a=&%?;[", max_size=8)),
        path=path,
        headers=draw(HEADERS),
        body=draw(BODIES),
        text=draw(st.none() | WORDS),
        secrets=draw(st.frozensets(NAMES, max_size=2)),
    )


RECEIVED = st.builds(
    Received,
    status=STATUSES,
    headers=HEADERS,
    body=BODIES | ENVELOPES,
    is_json=st.booleans(),
    size=st.integers(0, 10**6),
    kind=WORDS,
)


@st.composite
def exchanges(draw: st.DrawFn, exchange_id: str = "x1", case: str = "a") -> Exchange:
    """Return an exchange, answered or not."""
    return Exchange(
        id=exchange_id,
        case=case,
        step=draw(WORDS),
        operation=draw(st.none() | NAMES),
        identity=draw(NAMES),
        sent=draw(sent()),
        answer=draw(st.none() | RECEIVED),
        trouble=draw(WORDS),
        started=draw(TIMES),
        duration=draw(st.floats(0, 400)),
        notes=draw(st.dictionaries(NAMES, WORDS, max_size=1)),
    )


OUTCOMES = st.builds(
    Outcome,
    statuses=st.lists(STATUSES, min_size=1, max_size=3).map(tuple),
    code=st.none() | CODES,
    messages=st.lists(WORDS, max_size=2).map(tuple),
    detail=st.booleans(),
    target=st.none() | st.tuples(WORDS, WORDS),
    schema=st.none() | st.just("error-envelope"),
    source=WORDS,
    code_at=st.sampled_from(["", "code"]),
    text_at=st.sampled_from(["", "description"]),
    patterns=st.lists(WORDS, max_size=1).map(tuple),
)
MEMBERS = st.builds(
    Member,
    path=st.sampled_from(
        ["resources.0.id", "metadata.collectionTotal", "resources.*.reasons", "content-type"]
    ),
    check=st.sampled_from(["equals", "differs", "present", "absent", "contains", "lacks", "header"]),
    value=BODIES,
)


def expectations(exchange_ids: list[str]) -> st.SearchStrategy[Expectation]:
    """Return expectations of some of these exchanges."""
    return st.builds(
        Expectation,
        exchange=st.sampled_from(exchange_ids),
        requirement=NAMES,
        severity=st.sampled_from([Verdict.FAILED, Verdict.WARNED, Verdict.PASSED]),
        outcomes=st.lists(OUTCOMES, max_size=2).map(tuple),
        members=st.lists(MEMBERS, max_size=2).map(tuple),
    )


@st.composite
def cases(
    draw: st.DrawFn,
    case_id: str = "a",
    contract: str = "one",
    rows: tuple[str, ...] = ("r0",),
    most_exchanges: int = 2,
) -> CaseResult:
    """Return a case with its evidence; its findings need not follow from its verdict."""
    ids = [f"{case_id}-{number}" for number in range(draw(st.integers(0, most_exchanges)))]
    findings = st.builds(
        Finding,
        requirement=st.sampled_from(rows),
        severity=st.sampled_from([Verdict.FAILED, Verdict.WARNED]),
        expected=WORDS,
        got=WORDS,
        exchange=st.sampled_from(ids or ["none"]),
        curl=WORDS,
        step=WORDS,
    )
    return CaseResult(
        id=case_id,
        title=draw(WORDS),
        contract=contract,
        verdict=draw(st.sampled_from(Verdict)),
        requirements=tuple(draw(st.lists(st.sampled_from(rows), unique=True, max_size=2))),
        message=draw(WORDS),
        missing=draw(WORDS),
        started=draw(TIMES),
        duration=draw(st.floats(0, 400)),
        waited=draw(st.floats(0, 400)),
        checks=draw(st.integers(0, 3)),
        judged=tuple(draw(st.lists(st.sampled_from(rows), unique=True, max_size=2))),
        findings=tuple(draw(st.lists(findings, max_size=2))),
        exchanges=tuple(draw(exchanges(exchange_id, case_id)) for exchange_id in ids),
        expectations=tuple(draw(st.lists(expectations(ids), max_size=3))) if ids else (),
        rule=draw(WORDS),
        nodeid=draw(WORDS),
        file=draw(st.sampled_from(["", "kms_conformance/scenarios/one/test_a.py"])),
        line=draw(st.integers(0, 9)),
    )


KNOWN = st.builds(
    KnownDeviation,
    case=NAMES,
    requirement=st.sampled_from(["", "r0"]),
    reason=NAMES,
    owner=NAMES,
    link=WORDS,
    expiry=st.just("2099-01-01"),
    state=st.sampled_from(["used", "used", "used", "not-tested", "stale", "unknown", "expired"]),
    message=WORDS,
    deviations=st.lists(WORDS, max_size=2).map(tuple),
)


@st.composite
def runs(draw: st.DrawFn, most_cases: int = 4) -> Run:
    """Return a run of two contracts: any verdicts, levels and profiles, complete or not."""
    rows = tuple(
        Row(
            id=f"r{number}",
            contract=contract,
            section=f"s{number // 2}",
            level=draw(st.sampled_from(["MUST", "SHOULD", "MAY"])),
            evidence=draw(st.sampled_from(["documented", "observed", "reported", "unspecified"])),
            text=draw(WORDS),
            reason_code=draw(st.none() | CODES),
            excluded=draw(st.sampled_from(["", "", "", "no way to provoke it"])),
            link=draw(st.sampled_from(["", "https://docs.example.test/page#s"])),
            every_exchange=draw(st.integers(0, 5)) == 0,
        )
        for contract in ("one", "two")[: draw(st.integers(0, 2))]
        for number in range(draw(st.integers(0, 3)))
    )
    drawn = []
    for number in range(draw(st.integers(0, most_cases))):
        contract = draw(st.sampled_from(["one", "two"]))
        drawn.append(draw(cases(f"case/{number}", contract, ("r0", "r1", "r2", "r9"), most_exchanges=1)))
    if draw(st.booleans()):
        # Without this, hardly any random run would be conformant.
        good = st.sampled_from(
            [Verdict.PASSED, Verdict.PASSED, Verdict.WARNED, Verdict.NOT_APPLICABLE, Verdict.FAILED]
        )
        drawn = [replace(case, verdict=draw(good), findings=()) for case in drawn]
    statements = draw(st.lists(KNOWN, max_size=2)) if draw(st.integers(0, 3)) == 0 else []
    failed = [case.id for case in drawn if case.verdict is Verdict.FAILED]
    accepted = draw(st.lists(st.sampled_from(failed), unique=True)) if statements and failed else []
    return Run(
        profile=draw(st.sampled_from(Profile)),
        baseline=tuple(statements),
        accepted=dict.fromkeys(accepted, "under repair (the storage team, until 2099-01-01)"),
        cases=tuple(drawn),
        rows=rows,
        partial=draw(st.sampled_from(["", "", "", "2 cases were left out by the selection"])),
        interrupted=draw(st.sampled_from(["", "", "", "Ctrl-C"])),
        not_run=draw(st.integers(0, 3)),
        trouble=draw(st.sampled_from(["", "", "", "the clock stood still"])),
        started=draw(TIMES),
        finished=draw(TIMES),
        meta=draw(
            st.sampled_from(
                [
                    {},
                    {"left_behind": ["key one in instance two: it is still there"], "requests": {"sent": 9}},
                    {
                        "run_id": "r",
                        "contracts": [{"id": "one", "title": "One", "edition": "1", "sha256": "0" * 64}],
                    },
                ]
            )
        ),
    )


st.register_type_strategy(Exchange, exchanges())
st.register_type_strategy(CaseResult, cases())
st.register_type_strategy(Run, runs())


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

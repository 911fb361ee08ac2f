"""Random runs and their parts, as Hypothesis strategies.

The strategies are registered by type: tests say ``st.from_type(Run)``.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from kms_conformance.contract.severity import Row, Verdict
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
    check=st.sampled_from(["equals", "differs", "present", "absent", "empty", "contains", "lacks", "header"]),
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

"""One cause, one group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kms_conformance.contract.severity import Row, Verdict
from kms_conformance.judging.groups import group_findings, in_any_order, without_variable_parts
from kms_conformance.judging.results import CaseResult, Finding

ROWS = (
    Row("first", "one", "rotation", "MUST", "documented"),
    Row("second", "one", "rotation", "MUST", "documented"),
    Row("third", "one", "aliases", "MUST", "documented"),
    Row("first", "two", "rotation", "MUST", "documented"),
)


def case(
    name: str, *findings: Finding, contract: str = "one", verdict: Verdict = Verdict.FAILED
) -> CaseResult:
    """Return a case with these findings."""
    return CaseResult(name, name, contract, verdict, ("first",), findings=findings)


def finding(row: str, got: str = "204", severity: Verdict = Verdict.FAILED, exchange: str = "x1") -> Finding:
    """Return a finding."""
    return Finding(row, severity, "409 TOO_SOON", got, exchange)


def test_rows_of_a_section_share_a_cause() -> None:
    """Same section, expected and got: one group, with its rows, its cases and the first evidence."""
    (group,) = group_findings(
        [
            case("a", finding("first", exchange="x1")),
            case("b", finding("second", exchange="x2"), finding("first")),
        ],
        ROWS,
        Verdict.FAILED,
    )
    assert (group.section, group.rows, group.cases, group.findings) == (
        "rotation",
        ("first", "second"),
        ("a", "b"),
        3,
    )
    assert (group.case, group.exchange) == ("a", "x1")


def test_the_plain_case_comes_before_its_view() -> None:
    """Of cases with as many requests the one of fewer rows comes first: under a view a case has the view's row besides."""
    plain = case("rotate_twice", finding("first", exchange="x2"))
    viewed = replace(
        case("alias-rotate_twice", finding("first", exchange="x1")), requirements=("first", "second")
    )
    (group,) = group_findings([viewed, plain], ROWS, Verdict.FAILED)
    assert (group.case, group.exchange) == ("rotate_twice", "x2")


def test_another_section_contract_or_answer_is_another_cause() -> None:
    """What differs in one of the four is not put together; the cause of most cases comes first."""
    groups = group_findings(
        [
            case("a", finding("third")),
            case("b", finding("first", got="500")),
            case("c", finding("first"), contract="two"),
            case("d", finding("first")),
            case("e", finding("second")),
        ],
        ROWS,
        Verdict.FAILED,
    )
    assert [group.cases for group in groups] == [("d", "e"), ("a",), ("b",), ("c",)]


def test_warnings_are_apart() -> None:
    """A severity is grouped by itself, and a case without a finding of it that has the verdict is its own evidence."""
    cases = [
        case("a", finding("first", severity=Verdict.WARNED), finding("first")),
        CaseResult("b", "b", "one", Verdict.FAILED, ("third",), "it just failed"),
    ]
    (warned,) = group_findings(cases, ROWS, Verdict.WARNED)
    assert warned.cases == ("a",)
    groups = group_findings(cases, ROWS, Verdict.FAILED)
    assert [(group.section, group.expected, group.got) for group in groups] == [
        ("rotation", "409 TOO_SOON", "204"),
        ("aliases", "", "it just failed"),
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            "200 with resources.3.id = '9cbb439b-aaaa-4aaa-8aaa-0123456789ab'",
            "200 with resources.<n>.id = '<id>'",
        ),
        ("an alias kmsct-bda6ab45-taken-9cbb439b-0", "an alias <id>"),
        ("payload <payload:3f9a5c0d12ab> in the answer", "payload <payload> in the answer"),
        ("deletionDate = '2026-11-29T10:00:00Z'", "deletionDate = '<time>'"),
        ("date Sun, 29 Nov 2026 10:53:07 GMT", "date <time>"),
        ("expiration 1764413587", "expiration <id>"),
        ("ciphertext 'eyJjaXBoZXJ0ZXh0IjoiM0FiY2RlZiJ9=='", "ciphertext '<data>'"),
        ("409 KEY_ROTATION_NOT_PERMITTED", "409 KEY_ROTATION_NOT_PERMITTED"),
        ("200 with metadata.collectionTotal = 1", "200 with metadata.collectionTotal = 1"),
        ("400 or 409 KEY_ALIAS_NOT_UNIQUE_ERR", "400 or 409 KEY_ALIAS_NOT_UNIQUE_ERR"),
        ("application/vnd.ibm.kms.key_policy+json", "application/vnd.ibm.kms.key_policy+json"),
        ("a decade", "a decade"),
    ],
)
def test_variable_parts_are_left_out(text: str, left: str) -> None:
    """Ids, names of ours, tokens of secrets, times and indexes; never a status, a code or a member."""
    assert without_variable_parts(text) == left
    assert without_variable_parts(left) == left


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (
            "200 with tags = ['b', 'a']",
            "200 with tags = ['a', 'b']",
            "200 with tags = ['a', 'b'] in any order",
        ),
        ("ids = ['<id>', '<id>']", "ids = ['<id>', '<id>']", "ids = ['<id>', '<id>']"),
        (
            "keys = [{'a, b': [2, 1]}, {'it\\'s': 1}], and x",
            "keys = [{'it\\'s': 1}, {'a, b': [2, 1]}], and x",
            "keys = [{'a, b': [2, 1]}, {'it\\'s': 1}] in any order, and x",
        ),
        ("a = ['b', 'a", "a = ['b', 'a", "a = ['b', 'a"),
        ("a = [], b = [2, 1]", "a = [], b = [1, 2]", "a = [], b = [1, 2] in any order"),
    ],
)
def test_order_of_a_quoted_list_is_no_cause(one: str, other: str, told: str) -> None:
    """Two answers that differ in the order of a list are one cause; what is no whole list stays as it is."""
    assert in_any_order(one) == in_any_order(other) == told
    (group,) = group_findings(
        [case("a", finding("first", got=one)), case("b", finding("first", got=other))],
        ROWS,
        Verdict.FAILED,
    )
    assert group.got == told

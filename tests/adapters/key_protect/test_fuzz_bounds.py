"""On an instance that others use too, no generated request reaches what is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from runs import case_of, served_target, session_and_context

from kms_conformance.adapters.key_protect.fuzz_bounds import stays_with_ours
from kms_conformance.adapters.key_protect.fuzz_fixtures import KeyProtectFixtures
from kms_conformance.contract.contract import load_contract
from kms_conformance.contract.corpus import Entry, placeholder, shipped_corpus
from kms_conformance.contract.severity import Verdict
from kms_conformance.errors import InstanceBusyError
from kms_conformance.fuzz.requests import FilledRequest
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.locks import InstanceLocks
from kms_conformance.transport.pipeline import Outgoing
from kms_reference.server import Server

PREFIX = "kmsct-0123abcd-"
CONTRACT = load_contract("key_protect")
CREATED = "/api/v2/keys"
OURS, LONG = placeholder("name:4:90") + "name", placeholder("name:80:90") + "n" * 80


def entry(operation: str, method: str, path: str, body: str | None = None, raw: bytes | None = None) -> Entry:
    """Return a request made for an operation."""
    return Entry(0, operation, "valid", method, path, body=body, raw=raw)


def keys(*resources: str) -> str:
    """Return the body of a request that creates things."""
    return f'{{"resources": [{", ".join(resources)}]}}'


@pytest.mark.parametrize(
    ("ours", "operation", "method", "path", "body"),
    [
        (True, "getKey", "GET", "/api/v2/keys/00", None),
        (True, "deleteKey", "DELETE", f"/api/v2/keys/{placeholder('free:root')}", None),
        (False, "deleteKey", "DELETE", "/api/v2/keys/00", None),
        (False, "deleteKey", "DELETE", "/api/v2/keys/%30%30", None),
        (True, "deleteKey", "DELETE", "/api/v2/keys/%C2%87", None),
        (False, "disableKey", "POST", "/api/v2/keys/prod/actions/disable", None),
        (False, "deleteKeyRing", "DELETE", "/api/v2/key_rings/rB", None),
        (True, "createKeyRing", "POST", f"/api/v2/key_rings/{OURS}", None),
        (False, "createKeyRing", "POST", f"/api/v2/key_rings/{LONG}", None),
        (False, "createKeyRing", "POST", "/api/v2/key_rings/%C2%87", None),
        (False, "deleteKeyAlias", "DELETE", f"/api/v2/keys/{placeholder('key:root')}/aliases/prod", None),
        (False, "deleteKmipAdapter", "DELETE", "/api/v2/kmip_adapters/00", None),
        (False, "deleteKey", "DELETE", "/api/v2/keys/x/../prod", None),
        (True, "createKey", "POST", CREATED, keys(f'{{"name": "{OURS}"}}')),
        (False, "createKey", "POST", CREATED, keys('{"name": "00"}')),
        (False, "createKey", "POST", CREATED, keys(f'{{"name": "{LONG}"}}')),
        (False, "createKey", "POST", CREATED, keys(f'{{"name": "{OURS}", "aliases": ["prod"]}}')),
        (True, "createKey", "POST", CREATED, keys('{"name": 7}', "null")),
        (True, "createKey", "POST", CREATED, "[]"),
        (False, "createKmipAdapter", "POST", "/api/v2/kmip_adapters", keys('{"profile": "native_1.0"}')),
        (True, "createKmipAdapter", "POST", "/api/v2/kmip_adapters", keys(f'{{"name": "{OURS}"}}')),
    ],
)
def test_bounds(*, ours: bool, operation: str, method: str, path: str, body: str | None) -> None:
    """A change goes to what a placeholder names, or makes what bears the run's name."""
    template = CONTRACT.operations[operation].path
    assert stays_with_ours(entry(operation, method, path, body), template, PREFIX) is ours


def test_corpus_keeps_most_of_itself() -> None:
    """On a shared instance most of the corpus is still sent, to every operation."""
    entries = shipped_corpus("key_protect", whole=True)
    assert entries is not None
    kept = [
        one
        for one in entries.entries
        if stays_with_ours(one, CONTRACT.operations[one.operation].path, PREFIX)
    ]
    assert len(kept) > 0.85 * len(entries.entries)
    assert {one.operation for one in kept} == {one.operation for one in entries.entries}


@pytest.fixture
def fixtures(reference: Server) -> Iterator[KeyProtectFixtures]:
    """Yield what the fuzzer of one shared instance draws from, with nothing allowed."""
    session, context = session_and_context(served_target(reference, instance=str(uuid4())))
    yield KeyProtectFixtures(case_of(context, instance=context.target.instance))
    session.close()


def test_raw_bodies_are_looked_into(fixtures: KeyProtectFixtures) -> None:
    """What needs a permission needs it in a body of bytes too."""
    path = f"/api/v2/keys/{placeholder('free:root')}/policies"
    body = b'{"resources": [{"dualAuthDelete": {"enabled": true}}'
    assert (
        fixtures.missing_permission(entry("putPolicy", "PUT", path, raw=body))
        == "[allow] dual_auth_litter = true"
    )
    assert fixtures.missing_permission(entry("putPolicy", "PUT", path, raw=b"{")) == ""


@pytest.mark.parametrize(("status", "left"), [(201, 1), (409, 1), (503, 1), (0, 1)])
def test_twice_sent_requests_leave_a_row(fixtures: KeyProtectFixtures, status: int, left: int) -> None:
    """A creation that left twice may have made two things: the journal still names one when the other is known."""
    request = _creation(fixtures)
    fixtures.before_sending(request)
    body: Any = {"resources": [{"id": "one"}]} if status == 201 else None
    fixtures.after_answer(request, status, body, again=True)
    intended = [thing for thing in fixtures.case.context.journal.left_over() if thing.state == "intended"]
    assert len({thing.name for thing in intended}) == left


@pytest.mark.parametrize(("status", "left"), [(201, 0), (400, 0), (500, 1), (504, 1), (0, 1)])
def test_server_errors_leave_a_row(fixtures: KeyProtectFixtures, status: int, left: int) -> None:
    """After a server error or silence nobody knows whether a thing was made; after a refusal it was not."""
    request = _creation(fixtures)
    fixtures.before_sending(request)
    body: Any = {"resources": [{"id": "one"}]} if status == 201 else None
    fixtures.after_answer(request, status, body)
    assert (
        len([thing for thing in fixtures.case.context.journal.left_over() if thing.state == "intended"])
        == left
    )


def _creation(fixtures: KeyProtectFixtures) -> FilledRequest:
    body = {"resources": [{"name": f"{fixtures.prefix}1-name"}]}
    made = entry("createKey", "POST", CREATED)
    return FilledRequest(1, made, Outgoing("POST", CREATED, {}), "createKey", CREATED, "manager", body)


def test_time_of_others_does_not_pass(fixtures: KeyProtectFixtures) -> None:
    """Where the clock can be moved, it is not moved under the feet of those who share the instance."""
    clock, instance = fixtures.case.context.clock, fixtures.target.instance
    before = clock.now(instance)
    fixtures.prepare(["key:expired", "free:disabled"])
    assert (clock.now(instance) - before).total_seconds() < 600


@pytest.mark.parametrize("allowed", [False, True])
def test_impact_where_it_is_allowed(reference: Server, *, allowed: bool) -> None:
    """A case that changes the instance only where it may runs in any case, and alone where it may."""
    allow = {"instance_policies": allowed}
    session, context = session_and_context(served_target(reference, instance=str(uuid4()), allow=allow))
    others: list[bool] = []

    def body(kms: Any) -> None:
        kms.list_keys(limit=1).succeeds(200)
        try:
            with InstanceLocks(context.target.base_url, context.target.instance, shared=True).hold(
                patience=0
            ):
                others.append(True)
        except InstanceBusyError:
            others.append(False)

    info = CaseInfo("tests.perhaps", "a case", "key_protect", ("list-keys",), perhaps=("instance",))
    assert session.run_case(session.open(info), body).verdict is Verdict.PASSED
    assert others == [not allowed]
    session.close()

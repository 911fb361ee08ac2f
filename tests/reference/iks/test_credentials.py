"""Manual credentials, the API key, which of them counts, and where."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.reference.iks.conftest import Iks

MEMBERS = {"incidentID", "code", "description", "type", "recoveryCLI", "terseDescription"}


def is_envelope(reply: httpx.Response) -> dict[str, str]:
    """Check the flat envelope; return it."""
    body = reply.json()
    assert body.keys() <= MEMBERS
    assert all(isinstance(value, str) for value in body.values())
    return body


def not_set(reply: httpx.Response) -> bool:
    """Tell whether a reply says that no credentials are set."""
    body = is_envelope(reply)
    return body["code"] == "E0051" and "The user credentials could not be found." in body["description"]


def test_set_get_unset(iks: Iks) -> None:
    """Not set, set, unset: the user is shown, the key never."""
    assert not_set(iks.get())
    assert iks.set().status_code == 204
    assert iks.get().json() == {"apiUser": "1111111_a"}
    assert iks.unset().status_code == 204
    assert not_set(iks.get())
    assert iks.unset().status_code == 204


def test_last_set_wins(iks: Iks) -> None:
    """The second credentials replace the first."""
    iks.set()
    iks.set("2222222_b", "key-b")
    assert iks.get().json() == {"apiUser": "2222222_b"}


@pytest.mark.parametrize("elsewhere", [{"region": "eu-de"}, {"group": "g2"}, {"account": "account-2"}])
def test_scope(iks: Iks, elsewhere: dict[str, str]) -> None:
    """Credentials belong to one region, group and account; unsetting does too."""
    other = iks.at(**elsewhere)
    iks.set()
    assert not_set(other.get())
    other.set("2222222_b", "key-b")
    iks.unset()
    assert other.get().json() == {"apiUser": "2222222_b"}


def test_both_group_headers(iks: Iks) -> None:
    """Either name of the group header counts; none is the default group."""
    iks.set()
    bare = iks.at(group="")
    assert bare.call("GET", "/credentials", headers={"x-auth-resource-group-id": "g1"}).status_code == 200
    assert not_set(bare.get())


@pytest.mark.parametrize("path", ["/credentials", "/infra-permissions"])
def test_region_is_needed(iks: Iks, path: str) -> None:
    """Without a region the account-level operations are refused."""
    reply = iks.at(region="").call("GET", path)
    assert reply.status_code == 400
    is_envelope(reply)


def test_set_needs_both(iks: Iks) -> None:
    """Credentials are a user and a key."""
    assert iks.call("POST", "/credentials", headers={"x-auth-softlayer-username": "u"}).status_code == 400
    assert not_set(iks.get())


def test_precedence(iks: Iks) -> None:
    """Manual credentials win over the API key, even over one that was just reset; the key owner stays."""
    cluster = iks.cluster()
    assert not iks.stored()
    iks.set()
    assert iks.stored()
    assert iks.owner(cluster) == "manager"
    assert iks.at(token="Bearer approver").reset().status_code == 204
    assert iks.owner(cluster) == "approver"
    assert iks.get().json() == {"apiUser": "1111111_a"}
    assert iks.call("GET", "/infra-permissions").json()["accountType"] == "manual"
    iks.unset()
    assert iks.call("GET", "/infra-permissions").json()["accountType"] == "linked"


@pytest.mark.parametrize("token", [None, "Bearer garbage", "manager"])
@pytest.mark.parametrize("path", ["/credentials", "/clusters/none", "/logging/none/clusterkeyowner"])
def test_tokens(iks: Iks, token: str | None, path: str) -> None:
    """Without a usable token everything is 401, before anything is looked up."""
    reply = iks.at(token=token).call("GET", path)
    assert reply.status_code == 401
    is_envelope(reply)


def test_roles(iks: Iks) -> None:
    """A viewer reads and changes nothing; a user without a role does not read either."""
    cluster = iks.cluster()
    iks.set()
    viewer = iks.at(token="Bearer reader")
    assert viewer.get().status_code == 200
    for refused in (viewer.set("2222222_b", "key-b"), viewer.unset(), viewer.reset(), viewer.add(cluster)):
        assert refused.status_code == 403
        is_envelope(refused)
    assert iks.get().json() == {"apiUser": "1111111_a"}
    assert iks.owner(cluster) == "manager"
    assert len(iks.workers(cluster)) == 1
    assert iks.at(token="Bearer outsider").get().status_code == 403


def test_unknown_cluster(iks: Iks) -> None:
    """A cluster that is not there is G0004."""
    reply = iks.call("GET", "/logging/none/clusterkeyowner")
    assert (reply.status_code, is_envelope(reply)["code"]) == (404, "G0004")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b"{}",
        b'{"name": 7}',
        b'{"name": "c", "workerNum": 0}',
        b'{"name": "\\ud800"}',
    ],
)
def test_bad_bodies(iks: Iks, body: bytes) -> None:
    """A bad body is 400 and makes no cluster."""
    reply = iks.call("POST", "/clusters", content=body)
    assert reply.status_code == 400
    is_envelope(reply)
    assert iks.call("GET", "/clusters").json() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "workerNum", "action"]), inner)
    ),
    max_leaves=6,
)


@given(
    body=st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()), place=st.integers(0, 3)
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_answered(iks: Iks, body: bytes, place: int) -> None:
    """Whatever a body holds, the answer is a success or an envelope, and reads still work."""
    path = ("/clusters", "/clusters/c/workers", "/clusters/c", "/credentials")[place]
    reply = iks.call("POST" if place != 2 else "DELETE", path, content=body)
    assert reply.status_code < 500
    if reply.status_code in {400, 403, 404} and "json" in reply.headers["content-type"]:
        is_envelope(reply)
    assert iks.call("GET", "/clusters").status_code == 200


def test_nothing_is_echoed(iks: Iks) -> None:
    """The infrastructure key shows in no reply."""
    iks.set(key="very-secret-key")
    cluster = iks.cluster()
    paths = (
        "/credentials",
        "/user-config",
        "/infra-permissions",
        "/clusters",
        f"/clusters/{cluster}/workers",
    )
    iks.fault("manual-key-deleted")
    replies = [iks.call("GET", path) for path in paths] + [iks.add(cluster), iks.set(key="very-secret-key")]
    assert not [reply.text for reply in replies if re.search("very-secret-key", reply.text)]

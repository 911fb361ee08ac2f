"""The ten messages: each shown, each resolved as the page says, and then the retry works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.reference.iks.conftest import Iks

FIRST, SECOND = ("1111111_a", "key-a"), ("2222222_b", "key-b")


@pytest.mark.parametrize("manual", [False, True])
def test_not_authorized(iks: Iks, manual: bool) -> None:
    """A missing permission refuses the operation and is listed; once it is granted, the operation succeeds."""
    cluster = iks.cluster()
    if manual:
        iks.set()
    assert iks.permissions() == {}
    wanted = {"permission": "View Virtual Server Details"}
    assert iks.fault("permission-removed", **wanted).status_code == 204
    refused = iks.add(cluster)
    assert refused.status_code == 403
    assert "not authorized for the request" in refused.json()["description"]
    assert iks.permissions() == {"virtualWorkerManagerPermissions required": ["View Virtual Server Details"]}
    assert len(iks.workers(cluster)) == 1
    iks.fault("permission-removed", clear=True, **wanted)
    assert iks.permissions() == {}
    assert iks.add(cluster).status_code == 201


def test_other_credentials_heal_too(iks: Iks) -> None:
    """Another user's credentials have that user's permissions."""
    iks.set(*FIRST)
    cluster = iks.cluster()
    iks.fault("permission-removed", permission="View Virtual Server Details")
    assert iks.add(cluster).status_code == 403
    iks.set(*SECOND)
    assert iks.permissions() == {}
    assert iks.add(cluster).status_code == 201


def test_not_connected(iks: Iks) -> None:
    """An account without infrastructure makes no cluster until credentials are set or it is linked."""
    iks.fault("account-unlinked")
    refused = iks.create()
    assert refused.status_code == 401
    assert refused.json()["description"].startswith("We were unable to connect to your Softlayer account.")
    assert iks.call("GET", "/clusters").json() == []
    iks.set()
    assert iks.create().status_code == 201
    iks.unset()
    assert iks.create().status_code == 401
    iks.fault("account-unlinked", clear=True)
    assert iks.create().status_code == 201


def test_item_permission(iks: Iks) -> None:
    """An item that may not be ordered shows on the worker; with the permission a reload clears it."""
    cluster = iks.cluster()
    iks.fault("permission-removed", permission="Add Server")
    added = iks.add(cluster).json()[0]
    assert added["errorMessage"] == "'Item' must be ordered with permission."
    assert iks.permissions() == {"virtualWorkerManagerPermissions required": ["Add Server"]}
    iks.fault("permission-removed", permission="Add Server", clear=True)
    path = f"/clusters/{cluster}/workers/{added['id']}"
    assert iks.call("PUT", path, json={"action": "reload"}).status_code == 204
    assert iks.call("GET", path).json()["errorMessage"] == ""


@pytest.mark.parametrize(
    ("answer", "start"),
    [
        ("not-found", "The worker node instance '"),
        ("missing", "The worker node instance can't be found."),
        ("unidentified", "The worker node instance can't be identified."),
    ],
)
def test_orphan(iks: Iks, answer: str, start: str) -> None:
    """A worker of another infrastructure account is orphaned until its credentials are back."""
    iks.set(*FIRST)
    cluster = iks.cluster()
    assert iks.fault("worker-lookup", answer=answer).status_code == 204
    (worker,) = iks.workers(cluster)
    assert worker["errorMessage"] == ""
    iks.set(*SECOND)
    (worker,) = iks.workers(cluster)
    assert worker["errorMessage"].startswith(start)
    assert worker["errorMessage"].endswith("Review 'classic' infrastructure user permissions.")
    path = f"/clusters/{cluster}/workers/{worker['id']}"
    refused = iks.call("DELETE", path)
    assert refused.status_code == 404
    assert refused.json()["description"] == worker["errorMessage"]
    iks.set(*FIRST)
    assert iks.workers(cluster)[0]["errorMessage"] == ""
    assert iks.call("DELETE", path).status_code == 204


def test_two_clusters_take_turns(iks: Iks) -> None:
    """The older page's sequence: whichever account is not in effect has the orphans."""
    linked = iks.cluster()
    iks.set()
    manual = iks.cluster()
    assert (bool(iks.workers(linked)[0]["errorMessage"]), bool(iks.workers(manual)[0]["errorMessage"])) == (
        True,
        False,
    )
    iks.unset()
    assert (bool(iks.workers(linked)[0]["errorMessage"]), bool(iks.workers(manual)[0]["errorMessage"])) == (
        False,
        True,
    )


@pytest.mark.parametrize("spelling", ["short", "long"])
def test_token_exchange(iks: Iks, spelling: str) -> None:
    """A dead API key is P0005 until it is reset."""
    cluster = iks.cluster()
    iks.fault("api-key-deleted", spelling=spelling, message="gone")
    refused = iks.add(cluster)
    body = refused.json()
    assert (refused.status_code, body["code"], body["type"]) == (401, "P0005", "Authorization")
    assert body["description"] in {
        "IAM token exchange request failed: gone",
        "The IAM token exchange request failed with the message: gone",
    }
    assert iks.permissions() == {}
    assert iks.reset().status_code == 204
    assert iks.add(cluster).status_code == 201


def test_registry_role(iks: Iks) -> None:
    """An owner without the registry role gets a cluster, and the message beside it."""
    iks.cluster()
    iks.fault("registry-role-removed")
    made = iks.create()
    assert made.status_code == 201
    (item,) = made.json()["non_critical_errors"]["items"]
    assert item["description"].startswith("The cluster could not be configured with the registry.")
    iks.fault("registry-role-removed", clear=True)
    assert iks.create().json()["non_critical_errors"]["items"] == []


def test_invalid_api_key(iks: Iks) -> None:
    """A deleted manual key is refused after a reset too, and is not shown as missing permissions; a new key is accepted."""
    iks.set()
    cluster = iks.cluster()
    iks.fault("manual-key-deleted")
    for _ in range(2):
        refused = iks.add(cluster)
        assert (
            refused.json()["description"] == "SoftLayer_Exception_User_Customer_Unauthorized: Invalid API key"
        )
        assert refused.status_code == 401
        assert iks.reset().status_code == 204
        assert iks.permissions() == {}
    iks.set(FIRST[0], "key-new")
    assert iks.add(cluster).status_code == 201
    iks.set(*FIRST)
    assert iks.add(cluster).status_code == 401


def test_deleting_a_cluster(iks: Iks) -> None:
    """Deleting needs working credentials; afterwards the cluster is gone."""
    cluster = iks.cluster()
    iks.fault("api-key-deleted")
    assert iks.call("DELETE", f"/clusters/{cluster}").status_code == 401
    iks.reset()
    assert iks.call("DELETE", f"/clusters/{cluster}").status_code == 204
    assert iks.call("GET", f"/clusters/{cluster}").status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"fault": "rust"},
        {"fault": 7},
        {"fault": "manual-key-deleted"},
        {"fault": "api-key-deleted"},
        {"fault": "registry-role-removed"},
        {"fault": "permission-removed", "permission": "Add Server"},
        {"fault": "worker-lookup", "answer": "maybe"},
    ],
)
def test_bad_faults(iks: Iks, wanted: dict[str, object]) -> None:
    """A fault that is none, or that has nothing to damage, is named."""
    reply = iks.http.request("POST", "/_control/iks/instances/a/faults", json=wanted)
    assert reply.status_code == 400
    assert reply.text


def test_forgetting_an_account(iks: Iks) -> None:
    """The control protocol empties an account."""
    iks.set()
    iks.cluster()
    assert iks.http.request("DELETE", f"/_control/iks/instances/{iks.account}").status_code == 204
    assert iks.get().json()["code"] == "E0051"
    assert iks.call("GET", "/clusters").json() == []

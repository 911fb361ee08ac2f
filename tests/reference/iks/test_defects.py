"""Each named defect is known, documented, hooked in, and visible from outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kms_reference.defects import SYSTEM_DEFECTS
from kms_reference.iks.defects.reported import REPORTED_DEFECTS
from kms_reference.iks.defects.reported_leftovers import LEFTOVER_DEFECTS
from kms_reference.iks.defects.reported_provisioners import PROVISIONER_DEFECTS
from kms_reference.iks.defects.reported_shortcuts import SHORTCUT_DEFECTS
from kms_reference.iks.defects.reported_stores import STORE_DEFECTS
from kms_reference.iks.defects.reported_tenants import TENANT_DEFECTS

ONLY_IN_CASES = {
    defect.name
    for defect in (
        *REPORTED_DEFECTS,
        *PROVISIONER_DEFECTS,
        *TENANT_DEFECTS,
        *STORE_DEFECTS,
        *LEFTOVER_DEFECTS,
        *SHORTCUT_DEFECTS,
    )
}
"""They need sequences of their own, which the cases are; the kill matrix proves that each of them shows."""
DEFECTS = {name: defect for name, defect in SYSTEM_DEFECTS["iks"].items() if name not in ONLY_IN_CASES}

if TYPE_CHECKING:
    from tests.reference.iks.conftest import Iks

FIRST, SECOND = ("1111111_a", "key-a"), ("2222222_b", "key-b")


def said(reply: Any) -> Any:
    """Reduce a reply to what does not differ from run to run."""
    text = re.sub(r"[0-9a-f]{32}|kube-[0-9a-f-]+|\d{4}-\d\d-\d\dT[\d:]+Z", "#", reply.text)
    return reply.status_code, reply.headers.get("content-type"), text


def promises(iks: Iks) -> Iterator[Any]:
    """Yield what the service says about every promise in turn."""
    for token in (None, "Bearer reader"):
        other = iks.at(token=token)
        yield from map(said, (other.get(), other.set(), other.unset(), other.reset()))
        yield said(iks.get())
    cluster = iks.cluster()
    yield said(iks.call("GET", "/logging/none/clusterkeyowner"))
    yield said(iks.set(*SECOND))
    iks.at(region="eu-de").set("3333333_c", "key-c")
    yield said(iks.at(token="Bearer reader").unset()), said(iks.get())
    yield from (
        said(iks.at(**place).get()) for place in ({"region": "eu-de"}, {"group": "g2"}, {"account": "a2"})
    )
    iks.set(*FIRST)
    yield said(iks.get()), iks.stored(), iks.owner(cluster), said(iks.call("GET", "/infra-permissions"))
    (worker,) = iks.workers(cluster)
    yield (
        worker["errorMessage"].replace(worker["id"], "#"),
        said(iks.call("DELETE", f"/clusters/{cluster}/workers/{worker['id']}")),
    )
    mine = iks.cluster()
    iks.fault("manual-key-deleted")
    yield said(iks.add(mine)), said(iks.call("GET", "/infra-permissions"))
    iks.at(token="Bearer approver").reset()
    yield said(iks.get()), said(iks.add(mine)), iks.owner(cluster)
    iks.set(FIRST[0], "key-new")
    yield said(iks.add(mine))
    iks.unset()
    yield (
        said(iks.get()),
        iks.stored(),
        said(iks.at(region="eu-de").get()),
        [w["errorMessage"] for w in iks.workers(cluster)],
    )
    for permission in ("View Virtual Server Details", "Add Server"):
        iks.fault("permission-removed", permission=permission)
        yield said(iks.add(cluster)), iks.permissions(), said(iks.call("GET", "/infra-permissions"))
        iks.fault("permission-removed", permission=permission, clear=True)
        yield said(iks.call("GET", "/infra-permissions"))
    iks.fault("api-key-deleted")
    yield said(iks.add(cluster))
    iks.reset()
    yield said(iks.add(cluster))
    iks.fault("registry-role-removed")
    yield said(iks.create()), len(iks.call("GET", "/clusters").json())
    iks.fault("account-unlinked")
    yield said(iks.create())
    iks.set(*FIRST)
    yield said(iks.create())


def surroundings(iks: Iks) -> Iterator[Any]:
    """Yield what other places, other accounts, users without a role and viewers may do, and what a bad key refuses."""
    cluster = iks.cluster()
    (worker,) = (worker["id"] for worker in iks.workers(cluster))
    path = f"/clusters/{cluster}/workers"
    yield said(iks.at(token=None).call("GET", path)), said(iks.at(token="Bearer reader").add(cluster))
    iks.at(token=None).reset()
    yield iks.owner(cluster)
    iks.at(group="g2").cluster()
    iks.at(group="g2", token="Bearer approver").reset()
    yield iks.owner(cluster)
    iks.at(account="a2").set("4444444_d@e", "key-d")
    iks.unset()
    yield said(iks.at(account="a2").get())
    iks.fault("api-key-deleted")
    yield said(iks.call("DELETE", f"{path}/{worker}"))
    iks.reset()
    iks.set("5555555_e", "key-e")
    mine = iks.cluster()
    iks.fault("manual-key-deleted")
    yield [said(iks.call("DELETE", f"/clusters/{mine}/workers/{one['id']}")) for one in iks.workers(mine)]


def effects(iks: Iks) -> Iterator[Any]:
    """Yield what operations, done and refused, leave of clusters, owners and credentials."""
    elsewhere, viewer = iks.at(region="eu-de"), iks.at(token="Bearer reader")
    elsewhere.set(*SECOND)
    clusters = [iks.cluster() for _ in range(4)]
    yield said(elsewhere.get())

    def held() -> Any:
        left = [cluster for cluster in clusters if cluster in iks.call("GET", "/clusters").text]
        return [(iks.owner(cluster), len(iks.workers(cluster))) for cluster in left]

    paths = [f"/clusters/{cluster}/workers/{iks.workers(cluster)[0]['id']}" for cluster in clusters]
    yield said(viewer.add(clusters[0])), held()
    yield said(viewer.call("DELETE", f"/clusters/{clusters[0]}")), held()
    yield said(iks.at(token=None).call("PUT", paths[1], json={"action": "reload"})), held()
    iks.unset()
    yield held()
    yield said(iks.call("DELETE", paths[2])), held()
    yield said(iks.call("DELETE", f"/clusters/{clusters[2]}")), held()
    elsewhere.set(*SECOND)
    iks.reset()
    yield said(elsewhere.get())


def answers_of(iks: Iks) -> list[Any]:
    """Run the whole probe; an error that ends it is kept as an answer."""
    heard: list[Any] = []
    try:
        heard.extend(promises(iks))
        heard.extend(surroundings(iks.at(account="a9")))
        heard.extend(effects(iks.at(account="a8")))
    except Exception as stopped:  # noqa: BLE001 - a broken endpoint may stop it in any way
        heard.append(type(stopped).__name__)
    return heard


def test_the_probe_repeats(make_iks: Callable[..., Iks]) -> None:
    """Without a defect two probes get the same answers, to the end."""
    first = answers_of(make_iks())
    assert first == answers_of(make_iks())
    assert not isinstance(first[-1], str)


def test_every_defect_shows(make_iks: Callable[..., Iks]) -> None:
    """Each defect changes an answer of the probe."""
    plain = answers_of(make_iks())
    assert [defect for defect in DEFECTS if answers_of(make_iks(defect)) == plain] == []


def test_registry() -> None:
    """Names of this system, one line each, sections, and a change."""
    assert len(DEFECTS) >= 30
    for name, defect in DEFECTS.items():
        assert name == defect.name
        assert name.startswith("iks-")
        assert "\n" not in defect.doc
        assert defect.doc.endswith(".")
        assert defect.sections
        assert defect.changes

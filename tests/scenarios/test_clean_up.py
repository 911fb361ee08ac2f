"""A case leaves an instance as it found it: after success, after failure, and after it was killed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from kms_conformance.kit import Inconclusive
from kms_conformance.material import key_material
from kms_conformance.session import Session
from kms_conformance.verdict import Verdict

RIGHTS = {
    "create_root_key": True,
    "create_standard_key": False,
    "import_root_key": True,
    "enforce_token": False,
}
FOREIGN = "65.128.226.0/24"


def policies(instance: Any) -> dict[str, Any]:
    """Return the instance's policies as a new session reads them; policies that are off are left out."""
    session = instance.session()
    body = instance.system(session).get_instance_policies().needed(200).body
    session.close()
    return {
        entry["policy_type"]: entry["policy_data"]
        for entry in body.get("resources", ())
        if entry["policy_data"]["enabled"]
    }


def everything(kms: Any) -> Any:
    """Make one of each kind of thing, and change a policy; return the key."""
    kms.set_instance_policy("keyCreateImportAccess", **RIGHTS).needed(204)
    ring = kms.new_ring()
    key = kms.in_ring(ring).create_root_key()
    kms.create_alias(key, kms.short_name("alias")).needed()
    service = kms.as_identity("service")
    service.create_registration(key, kms.crn(), preventKeyDeletion=True).needed(200, 201, 204)
    other = kms.create_root_key()
    adapter = kms.new_adapter(other)
    kms.add_certificate(adapter, kms.short_name("cert"), kms.client_certificate()).needed(201)
    kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed(200)
    return key


def leftovers(instance: Any) -> list[str]:
    """Return what is live on the instance, by name."""
    session = instance.session()
    kms = instance.system(session)
    keys = kms.list_keys(limit=5000).needed(200).body.get("resources", ())
    rings = [ring["id"] for ring in kms.list_rings().needed(200).body["resources"] if ring["id"] != "default"]
    adapters = kms.list_adapters().needed(200).body.get("resources", ())
    session.close()
    return [key["name"] for key in keys] + rings + [adapter["name"] for adapter in adapters]


@pytest.mark.parametrize("wrong", [None, RuntimeError, Inconclusive, KeyboardInterrupt])
def test_case_leaves_nothing(instance: Any, session: Session, wrong: type[BaseException] | None) -> None:
    """Keys, rings, aliases, registrations, adapters and policies are as before, however a case ends."""
    setup = instance.session()
    before = {"enabled": True, "attributes": {"interval_month": 4}}
    instance.system(setup).set_instance_policy("rotation", interval_month=4).needed(204)
    setup.close()

    def body(kms: Any) -> None:
        everything(kms)
        kms.set_instance_policy("rotation", interval_month=9).needed(204)
        if wrong is not None:
            raise wrong("on purpose")

    if wrong is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            instance.run(session, body)
    else:
        instance.run(session, body)
    assert leftovers(instance) == []
    assert policies(instance) == {"rotation": before}
    bench = session.bench("key_protect")
    assert [thing.name for thing in bench.journal.left_over() if thing.run == bench.run] == []


def test_killed_case_is_cleaned_up_by_the_next_run(instance: Any) -> None:
    """What a killed run has left is removed from its journal, and the policies are put back."""
    instance.abandon(instance.session(), everything)
    assert policies(instance)
    assert leftovers(instance)
    later = instance.session()
    assert later.recover() == []
    assert later.left_behind() == []
    later.close()
    assert policies(instance) == {}
    assert leftovers(instance) == []


def test_way_out_of_a_lock_out(instance: Any, session: Session) -> None:
    """A case that fails while the caller is locked out lets everybody in again."""

    def body(kms: Any) -> None:
        inside = kms.rescue()
        inside.set_instance_policy("allowedIP", allowed_ip=[FOREIGN]).needed(204)
        assert kms.list_keys().status == 401
        raise RuntimeError("on purpose")

    assert instance.run(session, body).verdict is Verdict.ERROR
    assert policies(instance) == {}


def test_killed_while_locked_out(instance: Any) -> None:
    """A run that was killed while the caller was locked out is cleaned up by the way out."""

    def body(kms: Any) -> None:
        kms.rescue().set_instance_policy("allowedIP", allowed_ip=[FOREIGN]).needed(204)
        assert kms.list_keys().status == 401

    instance.abandon(instance.session(), body)
    later = instance.session()
    assert later.recover() == []
    later.close()
    assert policies(instance) == {}


def test_no_way_out_no_lock_out(instance: Any) -> None:
    """Where neither a rescue URL nor the fault is given, nobody is locked out, and the case says what to add."""
    lacking = replace(instance, target=replace(instance.target, capabilities={}))
    session = lacking.session()
    result = lacking.run(session, lambda kms: kms.rescue())
    session.close()
    assert result.verdict is Verdict.NOT_TESTED
    assert "rescue_url" in result.message
    assert policies(instance) == {}


def test_journal_holds_no_secret(instance: Any) -> None:
    """Neither key material nor a token is ever written to the journal."""
    material = key_material()
    session = instance.session()
    token = str(instance.system(session).current_token())
    instance.abandon(session, lambda kms: kms.import_root_key(material))
    with sqlite3.connect(instance.journal) as file:
        told = "\n".join(file.iterdump())
    file.close()
    assert "kmsct-" in told
    assert str(material) not in told
    assert token not in told


def test_policy_is_written_down_before_it_is_changed(instance: Any, session: Session) -> None:
    """When the connection drops in the middle of a change, the journal already knows what to put back."""
    kms = instance.system(session)
    kms.get_instance_policies().needed(200)
    kms._note_policies(["metrics"])
    kms.fault("drop-connection")
    assert kms.set_instance_policy("metrics").reply is None
    (thing,) = session.bench("key_protect").journal.left_over()
    assert (thing.kind, thing.name, thing.detail) == ("policy", "metrics", '{"enabled": false}')
    assert kms.undo(thing)

"""A case leaves an instance as it found it: after success, after failure, and after it was killed."""

from __future__ import annotations

import base64
import os
import sqlite3
from dataclasses import replace
from threading import Thread
from typing import Any

import httpx
import pytest

from kms_conformance.adapters.key_protect.base import collection
from kms_conformance.adapters.key_protect.kmip import ADAPTER
from kms_conformance.contract.severity import Verdict
from kms_conformance.outputs import results
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.context import CaseInfo
from kms_conformance.run.outcomes import Inconclusive
from kms_conformance.run.session import Session
from kms_conformance.transport.client import Reply

RIGHTS = {
    "create_root_key": True,
    "create_standard_key": False,
    "import_root_key": True,
    "enforce_token": False,
}
INFO = CaseInfo("key_protect.made.up", "A case made up for a test", "key_protect", ("list-keys",))
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


@pytest.mark.parametrize("error", [None, RuntimeError, Inconclusive, KeyboardInterrupt])
def test_case_leaves_nothing(instance: Any, session: Session, error: type[BaseException] | None) -> None:
    """Keys, rings, aliases, registrations, adapters and policies are as before, however a case ends."""
    setup = instance.session()
    before = {"enabled": True, "attributes": {"interval_month": 4}}
    kms = instance.system(setup)
    owners = kms.policy_body({"policy_type": "rotation", "policy_data": before})
    kms.put_instance_policies(owners, "rotation").needed(204)
    setup.close()

    def body(kms: Any) -> None:
        everything(kms)
        kms.set_instance_policy("rotation", interval_month=9).needed(204)
        if error is not None:
            raise error("on purpose")

    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            instance.run(session, body)
    else:
        instance.run(session, body)
    assert leftovers(instance) == []
    assert policies(instance) == {"rotation": before}
    context = session.context("key_protect")
    assert [entry.name for entry in context.journal.left_over() if entry.run == context.run] == []


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
    material = Secret(base64.b64encode(os.urandom(32)).decode())
    session = instance.session()
    token = str(instance.system(session).current_token())
    instance.abandon(session, lambda kms: kms.import_root_key(material))
    with sqlite3.connect(instance.journal) as file:
        dump = "\n".join(file.iterdump())
    file.close()
    assert "kmsct-" in dump
    assert str(material) not in dump
    assert token not in dump


def test_policy_is_written_down_before_it_is_changed(instance: Any, session: Session) -> None:
    """When the connection drops in the middle of a change, the journal already knows what to put back."""
    kms = instance.system(session)
    kms.get_instance_policies().needed(200)
    kms._note_policies(["metrics"])
    kms.fault("drop-connection")
    with pytest.raises(Inconclusive):
        kms.set_instance_policy("metrics")
    entry, fault = session.context("key_protect").journal.left_over()
    assert (fault.kind, fault.name) == ("fault", "drop-connection")
    assert (entry.kind, entry.name, entry.detail) == ("policy", "metrics", '{"enabled": false}')
    assert kms.undo(entry)


def refusing(session: Session, *refused: tuple[str, str, int]) -> None:
    """Let a session's requests of a method, to a path with a word in it, end with a status of somebody in between."""
    client = session.context("key_protect").client
    read = client._read

    def answer(built: httpx.Request) -> Reply:
        for method, word, status in refused:
            if built.method == method and word in str(built.url):
                if not status:
                    read(built)
                    raise httpx.ReadError("cut on the way back", request=built)
                return Reply(status, httpx.Headers(), None, b"")
        return read(built)

    client._read = answer  # type: ignore[method-assign]  # stands for a gateway


def test_lost_answers_are_cleaned_up_at_the_end(instance: Any) -> None:
    """A key, a ring and an adapter whose answers were lost are removed when the run ends, by their names."""
    session = instance.session()

    def body(kms: Any) -> None:
        key = kms.create_root_key()
        refusing(session, ("POST", "", 0))
        for create in (
            kms.create_key,
            lambda: kms.create_ring(kms.short_name("ring")),
            lambda: kms.create_adapter(key, kms.short_name("adapter")),
        ):
            with pytest.raises(Inconclusive):
                create()

    instance.run(session, body)
    assert len(leftovers(instance)) == 4  # the adapter keeps its key
    assert session.tidy() == []
    assert leftovers(instance) == []
    session.close()


def nameless_adapter(kms: Any) -> None:
    """Let the endpoint name an adapter, and lose its answer: the journal has the path of the list only."""
    key = kms.create_root_key()
    kms.intend("kmip_adapter", "kmip_adapters", ref="/kmip_adapters")
    data = {"profile": "native_1.0", "profile_data": {"crk_id": key.id}}
    kms.request("POST", "/kmip_adapters", body=collection(ADAPTER, data)).needed(200, 201)


def test_adapter_without_a_known_name(instance: Any) -> None:
    """On an instance of our own it is removed all the same; on one of others it stays, and why is told."""
    own = replace(instance, target=replace(instance.target, instance="fresh"))
    session = own.session()
    assert own.run(session, nameless_adapter).exchanges
    assert session.tidy() == []
    session.close()
    session = instance.session()
    instance.run(session, nameless_adapter)
    (adapter, _) = session.tidy()
    assert "did not answer, so that its name is not known" in adapter
    session.close()


@pytest.mark.parametrize("status", [403, 500])
def test_what_cannot_be_looked_for_stays_in_the_journal(instance: Any, status: int) -> None:
    """Where keys cannot be listed, a key whose answer was lost is not taken for gone."""
    first = instance.session()
    refusing(first, ("POST", "/keys", 0))

    def lost(kms: Any) -> None:
        with pytest.raises(Inconclusive):
            kms.create_key()

    instance.abandon(first, lost)
    later = instance.session()
    refusing(later, ("GET", "/keys", status))
    (line,) = later.recover()
    assert f"keys cannot be listed ({status})" in line
    assert len(later.left_behind()) == 1
    later.close()
    again = instance.session()
    assert again.recover() == []
    assert leftovers(instance) == []
    again.close()


@pytest.mark.parametrize("status", [403, 500])
def test_refused_removals_are_told(instance: Any, status: int) -> None:
    """A removal that the endpoint refuses is told at the end of the run and of a sweep, and tried again."""
    session = instance.session()

    def body(kms: Any) -> None:
        kms.create_root_key()
        kms.set_instance_policy("rotation", interval_month=9).needed(204)
        refusing(session, ("DELETE", "", status), ("PUT", "", status))

    instance.run(session, body)
    lines = session.tidy()
    assert [line.split()[0] for line in lines] == ["policy", "key"]
    assert all(f"({status})" in line for line in lines)
    assert results.render(session.outcome())["left_behind"] == lines
    session.close()
    later = instance.session()
    assert later.recover() == []
    later.close()
    assert (leftovers(instance), policies(instance)) == ([], {})


def test_somebody_elses_key_of_the_same_name(instance: Any) -> None:
    """A name that is not the run's own does not make a key ours: it is left alone, and told."""
    setup = instance.session()
    foreign = instance.system(setup).create_key(name="production").needed()["resources.0.id"]
    context = setup.context("key_protect")
    for entry in context.journal.left_over():
        context.journal.gone(entry.id)
    context.journal.intend(context.target.base_url, instance.target.instance, "key", "production")
    ring = "/key_rings/team"
    context.journal.intend(context.target.base_url, instance.target.instance, "ring", "team", ref=ring)
    instance.system(setup).request("POST", ring).needed(201)
    setup.close()
    later = instance.session()
    assert len(later.recover()) == 2
    kms = instance.system(later)
    assert kms.get_metadata(foreign).status == 200
    assert "team" in leftovers(instance)
    later.close()


def test_killed_with_a_fault(instance: Any) -> None:
    """A fault that a killed run has set is mended: it would meet everybody on the instance."""
    instance.abandon(instance.session(), lambda kms: kms.fault("config-rule"))
    later = instance.session()
    kms = instance.system(later)
    assert kms.create_key().status != 201
    assert later.recover() == []
    kms.create_root_key()
    later.close()


def test_policies_of_the_dead_are_put_back_before_others_are_noted(instance: Any) -> None:
    """A case never takes what a killed run has set for what the owner has set."""
    owner = instance.session()
    kms = instance.system(owner)
    before = {"enabled": True, "attributes": {"interval_month": 4}}
    kms.put_instance_policies(kms.policy_body({"policy_type": "rotation", "policy_data": before}), "rotation")
    running, dead = instance.session(), instance.session()
    owner.close()
    instance.abandon(dead, lambda kms: kms.set_instance_policy("rotation", interval_month=9).needed(204))

    instance.run(running, lambda kms: kms.set_instance_policy("rotation", interval_month=2).needed(204))

    assert policies(instance) == {"rotation": before}
    assert running.left_behind() == []
    running.close()


def test_suspended_key_of_two(instance: Any, session: Session) -> None:
    """A key that needs two to delete and was disabled meanwhile is enabled first."""

    def body(kms: Any) -> None:
        key = kms.create_root_key()
        kms.put_policy(key, query="dualAuthDelete", dualAuthDelete={"enabled": True}).needed(200)
        kms.disable(key).needed()
        kms.case.context.clock.wait(kms.case.instance, 60)

    instance.run(session, body)
    assert leftovers(instance) == []
    assert session.tidy() == []


@pytest.mark.parametrize("late", [False, True])
def test_interrupt_within_the_clean_up(instance: Any, session: Session, *, late: bool) -> None:
    """Ctrl-C while a case cleans up does not cut the clean-up short."""

    def interrupt() -> None:
        if not struck:
            struck.append(True)
            raise KeyboardInterrupt

    struck: list[bool] = []

    def body(kms: Any) -> None:
        kms.case.clean_up += [interrupt] if late else []
        kms.create_root_key()
        kms.create_root_key()
        kms.case.clean_up += [] if late else [interrupt]

    with pytest.raises(KeyboardInterrupt):
        instance.run(session, body)
    assert struck
    assert leftovers(instance) == []


def test_two_sessions_take_turns_with_recovery(instance: Any) -> None:
    """Policies are put back only when nobody is at work on the instance."""
    instance.abandon(instance.session(), lambda kms: kms.set_instance_policy("metrics").needed(204))
    running, later = instance.session(), instance.session()
    free: list[bool] = []

    def body(kms: Any) -> None:
        thread = Thread(target=later.recover)
        thread.start()
        thread.join(0.5)
        free.append(not thread.is_alive())
        threads.append(thread)

    threads: list[Thread] = []
    running.run_case(running.open(INFO), body)
    threads[0].join(30)
    assert free == [False]
    assert policies(instance) == {}
    running.close()
    later.close()

"""What a killed run leaves is put right by the next run or by sweep; nothing else is touched."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from click.testing import CliRunner
from commands import Ended, fork_command, run_command
from killing_proxy import KillingProxy

from kms_conformance.cli.sweep import command as sweep
from kms_reference.server import Server
from kms_reference.target import target_text

KEY, POLICY = "application/vnd.ibm.kms.key+json", "application/vnd.ibm.kms.policy+json"
REGISTRATION = "application/vnd.ibm.kms.registration_input+json"
CASES = "policy_forbids_standard_keys or key_in_a_ring or alias_addresses or dual_auth"
ATTRIBUTES = {
    "create_root_key": True,
    "create_standard_key": True,
    "import_root_key": True,
    "import_standard_key": False,
    "enforce_token": False,
}


class Instance:
    """One shared instance, as an operator's own tools see it."""

    def __init__(self, server: Server) -> None:
        self.id = str(uuid.uuid4())
        self.server = server
        headers = {"authorization": self.token("manager"), "bluemix-instance": self.id}
        self.http = httpx.Client(base_url=f"{server.base_url}/api/v2", headers=headers)

    def token(self, role: str) -> str:
        """Return what a role sends as its authorisation."""
        grant = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": self.server.api_keys[role]}
        token = httpx.post(self.server.iam_url, data=grant).json()["access_token"]
        return f"Bearer {token}"

    def make_key(self, name: str) -> str:
        """Create a root key and return its id."""
        resource = {"type": KEY, "name": name, "extractable": False}
        body = {"metadata": {"collectionType": KEY, "collectionTotal": 1}, "resources": [resource]}
        key_id: str = self.http.post("/keys", json=body).json()["resources"][0]["id"]
        return key_id

    def register(self, key_id: str, bucket: str) -> None:
        """Let a service register a bucket that prevents the deletion of a key."""
        crn = quote(
            f"crn:v1:bluemix:public:cloud-object-storage:global:a/0:{uuid.uuid4()}:bucket:{bucket}", safe=""
        )
        body = {
            "metadata": {"collectionType": REGISTRATION, "collectionTotal": 1},
            "resources": [{"preventKeyDeletion": True}],
        }
        path, headers = f"/keys/{key_id}/registrations/{crn}", {"authorization": self.token("service")}
        self.http.post(path, json=body, headers=headers).raise_for_status()

    def set_policy(self) -> None:
        """Give the instance a policy of its owner's."""
        data = {
            "policy_type": "keyCreateImportAccess",
            "policy_data": {"enabled": True, "attributes": ATTRIBUTES},
        }
        body = {"metadata": {"collectionType": POLICY, "collectionTotal": 1}, "resources": [data]}
        self.http.put(
            "/instance/policies", params={"policy": "keyCreateImportAccess"}, json=body
        ).raise_for_status()

    def policies(self) -> dict[str, Any]:
        """Return what each policy that is switched on says."""
        resources = self.http.get("/instance/policies").json().get("resources", [])
        return {row["policy_type"]: row["policy_data"] for row in resources if row["policy_data"]["enabled"]}

    def things(self) -> list[str]:
        """Return the names of all keys that are not destroyed, and of all rings."""
        keys = self.http.get("/keys", params={"limit": 5000}).json().get("resources", [])
        rings = self.http.get("/key_rings").json()["resources"]
        return sorted([key["name"] for key in keys] + [ring["id"] for ring in rings])


@pytest.fixture
def instance(reference: Server) -> Iterator[Instance]:
    """Yield a shared instance with a policy and with keys whose names look like ours."""
    shared = Instance(reference)
    shared.set_policy()
    for name in ("kmsct-somebody-else", "kmsct-00000000-key-delete_twice-3", "production"):
        shared.make_key(name)
    yield shared
    shared.http.close()


def write_target(folder: Path, server: Server, base_url: str, instance: str) -> Path:
    """Write a target on a shared instance, with the virtual clock and everything allowed."""
    text = target_text(server).replace(f'base_url = "{server.base_url}"', f'base_url = "{base_url}"', 1)
    path = folder / "target.toml"
    path.write_text(re.sub(r'instance = "fresh"', f'instance = "{instance}"', text))
    return path


# A different set of places on each machine would make a failure hard to repeat; more are tried with a larger range.
PLACES = sorted(random.Random(7).sample(range(4, 60), 6))


@pytest.mark.parametrize("at", PLACES)
def test_killed_anywhere(reference: Server, instance: Instance, tmp_path: Path, at: int) -> None:
    """After kill -9 at any request, sweep restores policies, removes what is ours, and leaves the rest."""
    before = instance.policies(), instance.things()
    with KillingProxy(reference.base_url, at) as proxy:
        target = write_target(tmp_path, reference, proxy.base_url, instance.id)
        proxy.victim = fork_command(tmp_path, "run", "--target", str(target), "-k", CASES)
        code = proxy.victim.wait(60)
        proxy.victim = None
        done = swept(tmp_path, target, "--yes")

    assert code == -9
    assert (done.code, done.err) == (0, "")
    assert (instance.policies(), instance.things()) == before


def test_the_next_run_recovers_too(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """A run begins by putting right what a dead one has left."""
    before = instance.policies(), instance.things()
    with KillingProxy(reference.base_url, 30) as proxy:
        target = write_target(tmp_path, reference, proxy.base_url, instance.id)
        words = ("run", "--target", str(target), "-k")
        proxy.victim = fork_command(tmp_path, *words, CASES)
        proxy.victim.wait(60)
        proxy.victim = None
        run_command(tmp_path, *words, "delete_twice")

    assert (instance.policies(), instance.things()) == before


def test_a_living_run_is_left_alone(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """Sweep does not touch what a run that still goes on has made."""
    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    from kms_conformance.run.journal import Journal  # noqa: PLC0415 - stands for the other run

    living = Journal(tmp_path / ".kms-conformance" / "journal.sqlite", "living00")
    name = "kmsct-living00-key-x-0"
    row = living.intend(reference.base_url, instance.id, "key", name)
    living.created(row, instance.make_key(name))

    done = swept(tmp_path, target, "--yes")
    living.close()

    assert "Nothing is left behind." in done.out
    assert name in instance.things()


def swept(folder: Path, target: Path, *words: str) -> Ended:
    """Sweep."""
    return run_command(folder, "sweep", "--target", str(target), *words)


def test_sweep_lists_before_it_removes(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """Without --yes nothing is touched, and what is younger than --older-than stays."""
    from kms_conformance.run.journal import Journal  # noqa: PLC0415 - stands for the dead run

    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    dead = Journal(tmp_path / ".kms-conformance" / "journal.sqlite", "deadbeef")
    name = "kmsct-deadbeef-key-x-0"
    dead.created(dead.intend(reference.base_url, instance.id, "key", name), instance.make_key(name))
    dead.close()
    before = instance.things()

    listed = swept(tmp_path, target)
    assert listed.code == 3
    assert name in listed.out
    assert "1 thing left behind; `sweep --yes` removes what it can." in listed.out
    assert "Nothing is left behind." in swept(tmp_path, target, "--older-than", "1h", "--yes").out
    assert instance.things() == before
    done = swept(tmp_path, target, "--older-than", "0s", "--yes")
    assert (done.code, "1 of 1 thing removed." in done.out) == (0, True)
    assert len(instance.things()) == len(before) - 1
    assert swept(tmp_path, target, "--older-than", "soon").code == 2


LOOK_ALIKES = (
    "kmsct",
    "kmsct-",
    "kmsct-deadbeef",
    "kmsct-deadbeef-key",
    "kmsct-deadbeef-key-mine",
    "kmsct-deadbeef-key-mine-abcdef",
    "kmsct-DEADBEEF-key-mine-abcdef001",
    "kmsct-deadbee-key-mine-abcdef001",
    "kmsct-deadbeef0-key-mine-abcdef001",
    "my-kmsct-deadbeef-key-mine-abcdef001",
    "kmsct-deadbeef-key-mine-abcdef001-copy",
    "kmsct-deadbeef-key-mine-abcdefg01",
)


def test_sweep_by_name(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """Where the journal is lost, the full shape of a name tells what is ours; nothing that is only alike is touched."""
    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    for name in LOOK_ALIKES:
        instance.make_key(name)
    before = instance.things()
    instance.make_key("kmsct-deadbeef-key-delete_twice-abcdef001")
    assert "Nothing is left behind." in swept(tmp_path, target, "--yes").out
    listed = swept(tmp_path, target, "--by-name")
    assert "1 thing left behind" in listed.out
    assert len(instance.things()) == len(before) + 1
    done = swept(tmp_path, target, "--by-name", "--yes")
    assert done.code == 0, done.err
    assert instance.things() == before


def test_key_with_a_registration_is_swept_by_name(
    reference: Server, instance: Instance, tmp_path: Path
) -> None:
    """A registration of ours that prevents a deletion goes first; with one of somebody else the key stays."""
    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    before = instance.things()
    ours, foreign = (instance.make_key(f"kmsct-deadbeef-key-x-abcdef00{number}") for number in (1, 2))
    instance.register(ours, "kmsct-deadbeef-bucket-0123abcd-1")
    instance.register(foreign, "production")
    done = swept(tmp_path, target, "--by-name", "--yes")
    assert (done.code, "1 of 2 things removed." in done.out) == (3, True), done.out
    assert "409 PREV_KEY_DEL_ERR" in done.err
    assert set(instance.things()) - set(before) == {"kmsct-deadbeef-key-x-abcdef002"}


def test_adapter_with_objects_is_swept(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """An adapter through which a KMIP client has made an object goes with it; so does the key behind it."""
    from kms_conformance.run.journal import Journal  # noqa: PLC0415 - stands for the dead run

    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    before = instance.things()
    dead = Journal(tmp_path / "journal.sqlite", "deadbeef")
    key_name, name = "kmsct-deadbeef-key-x-abcdef001", "kmsct-deadbeef-adapter-abcdef00-1"
    key = instance.make_key(key_name)
    dead.created(dead.intend(reference.base_url, instance.id, "key", key_name), key)
    kind = "application/vnd.ibm.kms.kmip_adapter+json"
    adapter = {"name": name, "profile": "native_1.0", "profile_data": {"crk_id": key}}
    body = {"metadata": {"collectionType": kind, "collectionTotal": 1}, "resources": [adapter]}
    instance.http.post("/kmip_adapters", json=body).raise_for_status()
    path = f"/kmip_adapters/{name}"
    dead.created(dead.intend(reference.base_url, instance.id, "kmip_adapter", name), path)
    dead.close()
    control = f"{reference.base_url}/_control/instances/{instance.id}/kmip_objects"
    httpx.post(control, json={"adapter": name}).raise_for_status()
    assert instance.http.delete(path).status_code == 409
    options = ["--target", str(target), "--journal", str(tmp_path / "journal.sqlite"), "--yes"]
    done = CliRunner().invoke(sweep, options)
    assert (done.exit_code, "2 of 2 things removed." in done.output) == (0, True), done.output
    assert instance.things() == before


def test_sweep_by_name_whatever_the_clock(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """What an endpoint whose clock is ahead of ours has made just now is not too young to be found by its name."""
    control = f"{reference.base_url}/_control/instances/{instance.id}/clock"
    httpx.post(control, json={"advance_seconds": 600}).raise_for_status()
    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    instance.make_key("kmsct-deadbeef-key-delete_twice-abcdef001")
    options = ["--target", str(target), "--journal", str(tmp_path / "journal.sqlite"), "--by-name"]
    listed = CliRunner().invoke(sweep, options)
    assert "1 thing left behind" in listed.output
    assert "Nothing is left behind." in CliRunner().invoke(sweep, [*options, "--older-than", "1h"]).output


def test_sweep_names_living_runs(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """Who sweeps beside a run is told that it is at work."""
    from kms_conformance.run.journal import Journal  # noqa: PLC0415 - stands for the other run

    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    living = Journal(tmp_path / ".kms-conformance" / "journal.sqlite", "living00")
    try:
        assert "run living00 is at work; what it has made stays." in swept(tmp_path, target).out
    finally:
        living.close()


def test_pytest_recovers_too(reference: Server, instance: Instance, tmp_path: Path) -> None:
    """A session of pytest begins by putting right what a dead run has left, as `run` does."""
    from kms_conformance.run.journal import Journal  # noqa: PLC0415 - stands for the dead run

    target = write_target(tmp_path, reference, reference.base_url, instance.id)
    before = instance.things()
    dead = Journal(tmp_path / ".kms-conformance" / "journal.sqlite", "deadbeef")
    name = "kmsct-deadbeef-key-x-0"
    dead.created(dead.intend(reference.base_url, instance.id, "key", name), instance.make_key(name))
    dead.close()
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "no:schemathesis",
                "--pyargs",
                "kms_conformance.scenarios.key_protect.test_sync",
            ),
            *("--kms-target", str(target), "-k", "nothing_at_all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert instance.things() == before

"""A dead run may have locked out whoever comes next: the policy is put back by the other way in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner, Result
from owners import headers_of, put_policy

from kms_conformance.adapters.key_protect.network import FOREIGN
from kms_conformance.cli.sweep import command as sweep
from kms_conformance.doctor.examination import demand_readiness, examine
from kms_conformance.run.journal import Journal
from kms_conformance.run.options import Options
from kms_conformance.run.session import Session
from kms_conformance.target.target import read_target
from kms_reference.server import Server
from kms_reference.target import target_text


@pytest.fixture
def locked(reference: Server, tmp_path: Path) -> str:
    """Give a shared instance that lets nobody in but from elsewhere, as the journal of a dead run says; the target is written."""
    instance = str(uuid4())
    text = target_text(reference).partition("[hpcs_tke]")[0]
    (tmp_path / "target.toml").write_text(re.sub(r'instance = "fresh"', f'instance = "{instance}"', text))
    dead = Journal(tmp_path / "journal.sqlite", "deadbeef")
    dead.intend(reference.base_url, instance, "policy", "allowedIP", detail=json.dumps({"enabled": False}))
    dead.close()
    put_policy(reference, instance, "allowedIP", allowed_ip=[FOREIGN])
    assert not lets_us_in(reference, instance)
    return instance


def lets_us_in(reference: Server, instance: str) -> bool:
    """Tell whether the keys of an instance can be listed from here."""
    url = f"{reference.base_url}/api/v2/keys"
    return httpx.get(url, headers=headers_of(reference, instance)).status_code == 200


def swept(folder: Path, *words: str) -> Result:
    """Sweep, in this process."""
    options = ["--target", str(folder / "target.toml"), "--journal", str(folder / "journal.sqlite")]
    return CliRunner().invoke(sweep, [*options, *words])


def test_sweep_opens_it_again(reference: Server, locked: str, tmp_path: Path) -> None:
    """Sweep names the policy although the endpoint lets nobody in, and puts it back."""
    listed = swept(tmp_path)
    assert (listed.exit_code, "1 thing left behind" in listed.output) == (3, True), listed.output
    assert not lets_us_in(reference, locked)
    done = swept(tmp_path, "--yes")
    assert (done.exit_code, "1 of 1 thing removed." in done.output) == (0, True), done.output
    assert lets_us_in(reference, locked)


def test_the_next_run_opens_it_again(reference: Server, locked: str, tmp_path: Path) -> None:
    """A run puts the policy back before it looks whether the endpoint can be judged; `doctor` only says what was left."""
    target = read_target(tmp_path / "target.toml", {})
    session = Session(Options(contracts=target.contracts, journal=tmp_path / "journal.sqlite"), target)
    try:
        examination = examine(session, thoroughly=True)
        assert [finding.id for finding in examination][-2:] == ["left-behind", "refused"]
        assert not lets_us_in(reference, locked)
        demand_readiness(session)
    finally:
        session.close()
    assert lets_us_in(reference, locked)

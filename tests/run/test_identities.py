"""Two identities that are one person, and one that lacks its role, are told before anything is created."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import Command
from runs import served_target, session_and_context

from kms_conformance.errors import ExitCode, PreflightRefusedError, SameIdentityError, SuiteError
from kms_conformance.redaction.redactor import Secret
from kms_conformance.run.identities import demand_identities
from kms_conformance.target.identity import Identity
from kms_conformance.target.target import Target
from kms_reference.server import Server
from kms_reference.target import write_target

INSTANCE = "7f1d1c4e-0000-4000-8000-00000000aaaa"


def target_with(server: Server, **who: str) -> Target:
    """Return the target of the reference where some identities hold the API key of others."""
    target = served_target(server, instance=INSTANCE)
    people = dict(target.identities)
    for name, other in who.items():
        people[name] = Identity(name, api_key=target.identities[other].api_key)
    return replace(target, identities=people)


def refusal_of(target: Target) -> SuiteError | None:
    """Return what is wrong with the identities of a target."""
    session, context = session_and_context(target)
    try:
        demand_identities(context.client, context.contract, INSTANCE)
    except SuiteError as error:
        return error
    finally:
        session.close()
    return None


def test_everybody_is_somebody_else(reference: Server) -> None:
    """The identities of the reference are different people, each with its role."""
    assert refusal_of(target_with(reference)) is None


@pytest.mark.parametrize("name", ["approver", "service", "reader", "outsider", "purger"])
def test_one_person_twice(reference: Server, name: str) -> None:
    """An identity that is the manager is refused with one sentence that names both, and without any secret."""
    error = refusal_of(target_with(reference, **{name: "manager"}))
    assert isinstance(error, SameIdentityError)
    assert error.exit_code is ExitCode.USAGE
    assert error.sentence.startswith(
        f"The identities 'manager' and '{name}' are one person: they have the same "
    )
    assert reference.api_keys["manager"] not in str(error)


def test_same_subject_of_two_tokens(reference: Server) -> None:
    """Two tokens of one person are told by their subject, though the tokens themselves differ."""
    assert reference.server_state is not None
    issuer = reference.server_state.issuer
    manager = issuer.named("manager")
    target = target_with(reference)
    tokens = [issuer.token(manager, issued) for issued in (1_900_000_000, 1_900_000_001)]
    people = {
        "manager": Identity("manager", token=Secret(tokens[0])),
        "approver": Identity("approver", token=Secret(tokens[1])),
    }
    error = refusal_of(replace(target, identities=people))
    assert isinstance(error, SameIdentityError)
    assert "the same iam_id in their tokens" in error.sentence


def test_same_opaque_token(reference: Server) -> None:
    """A token that nobody can read is compared as it is."""
    people = {name: Identity(name, token=Secret("opaque")) for name in ("manager", "reader")}
    error = refusal_of(replace(target_with(reference), identities=people))
    assert isinstance(error, SameIdentityError)
    assert "the same token" in error.sentence


@pytest.mark.parametrize(
    ("name", "other", "role"),
    [
        ("purger", "approver", "KeyPurge"),
        ("approver", "outsider", "Manager"),
        ("manager", "reader", "Manager"),
    ],
)
def test_role_that_is_missing(reference: Server, name: str, other: str, role: str) -> None:
    """An identity without the role that its cases need is refused by name, with what was answered."""
    target = target_with(reference, **{name: other})
    people = {key: who for key, who in target.identities.items() if key != other}
    error = refusal_of(replace(target, identities=people))
    assert isinstance(error, PreflightRefusedError)
    assert error.exit_code is ExitCode.UNREACHABLE
    assert f"the identity {name!r} has not the role {role}: " in error.sentence
    assert " gave 40" in error.sentence


def test_nothing_is_created_before(command: Command, reference: Server, tmp_path: Path) -> None:
    """A run with one person twice ends with exit code 2 before any case, and without a report."""
    path = tmp_path / "target.toml"
    write_target(path, reference)
    keys = reference.api_keys
    path.write_text(path.read_text().replace(keys["approver"], keys["manager"]))
    ended = command("run", "--target", str(path), "--report-dir", "report")
    assert ended.code == 2
    assert ended.first_line.startswith("error: The identities 'manager' and 'approver' are one person")
    assert not (tmp_path / "report" / "results.json").exists()
